// The page around the head: what is pressed, typed and dropped, and what it says of itself.

import { Head, NoWebGpu } from './head.js';

const WORDS = {
  en: {
    loading: 'Loading the head…', ready: 'Press Start: browsers allow sound only after a click.', waiting: 'Waiting for a text, a sound or your voice.',
    speaking: 'Speaking.', listening: 'Following your microphone.', starting: 'Starting the sound…', decoding: 'Reading the sound file…',
    none: 'This browser has no WebGPU, by which the head is drawn; here is a still picture.',
    refused: 'The microphone was refused; allow it for this page and press again.', lost: 'The graphics device went away and did not come back. Reload the page.',
    failed: 'The head cannot be opened:', unreadable: 'This browser cannot read that sound file.', english: 'The built-in voice reads English alone.',
  },
  zh: {
    loading: '正在加载头像…', ready: '请按“开始”:浏览器在点击之后才允许播放声音。', waiting: '等待文字、声音文件或您的声音。',
    speaking: '正在说话。', listening: '正在跟随麦克风。', starting: '正在打开声音…', decoding: '正在读取声音文件…',
    none: '此浏览器没有绘制头像所需的 WebGPU,这里显示静态图片。', refused: '麦克风被拒绝;请允许本页使用,然后再按一次。',
    lost: '图形设备已丢失且无法恢复,请重新加载页面。', failed: '无法打开头像:', unreadable: '此浏览器无法读取该声音文件。', english: '内置语音只能读英文。',
    start: '开始', text: '文字(英文)', say: '说出来', stop: '停止', listen: '跟随我的声音', file: '声音文件', background: '背景',
    room: '房间', green: '绿色', white: '白色', transparent: '无', note: '画面是合成的。使用他人的面容或声音须经本人同意。', head: '头像',
  },
};
const language = navigator.language.startsWith('zh') ? 'zh' : 'en';
const words = WORDS[language];
const by = (id) => document.getElementById(id);
const controls = ['text', 'say', 'stop', 'listen', 'file', 'background'].map(by);

let head = null;

function tell(key, detail = '') {
  by('state').dataset.state = key;
  by('state').textContent = detail ? `${words[key] ?? key} ${detail}` : words[key] ?? key;
}

function translate() {
  document.documentElement.lang = language;
  document.querySelectorAll('[data-word]').forEach((element) => {
    element.textContent = words[element.dataset.word] ?? element.textContent;
  });
}

/** What is there in place of a head that cannot be drawn. */
function still(key, detail) {
  by('still').hidden = false;
  head?.canvas?.setAttribute('hidden', '');
  by('picture')?.setAttribute('hidden', '');
  [...controls, by('start')].forEach((control) => { control.disabled = true; });
  tell(key, detail);
}

function rest() {
  tell(head.isListening ? 'listening' : head.isSpeaking ? 'speaking' : 'waiting');
}

async function open() {
  translate();
  tell('loading');
  const file = new URLSearchParams(location.search).get('head') ?? 'head.safetensors';
  try {
    head = await Head.load(file, by('picture'));
  } catch (error) {
    still(error instanceof NoWebGpu || !await adapter() ? 'none' : 'failed', error instanceof NoWebGpu ? '' : error.message);
    return;
  }
  window.head = head;
  head.addEventListener('speaking', rest);
  head.addEventListener('waiting', rest);
  head.addEventListener('lost', ({ detail }) => still('lost', detail));
  by('start').disabled = false;
  tell('ready');
}

async function adapter() {
  return Boolean(await navigator.gpu?.requestAdapter().catch(() => null));
}

by('start').addEventListener('click', async () => {
  by('start').disabled = true;
  tell('starting');
  await head.start();
  controls.forEach((control) => { control.disabled = false; });
  by('text').focus();
  rest();
});

by('form').addEventListener('submit', (event) => {
  event.preventDefault();
  try {
    head.say(by('text').value);
  } catch {
    tell('english');
  }
});

by('stop').addEventListener('click', () => { head.interrupt(); rest(); });

by('listen').addEventListener('click', async () => {
  try {
    if (head.isListening) head.stopListening(); else await head.listen();
    rest();
  } catch {
    tell('refused');
  }
  by('listen').setAttribute('aria-pressed', String(head.isListening));
});

async function sayFile(file) {
  tell('decoding');
  try {
    await head.sayFile(file);
    rest();
  } catch {
    tell('unreadable');
  }
}

by('file').addEventListener('change', () => { if (by('file').files[0]) sayFile(by('file').files[0]); });
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file && head?.isStarted) sayFile(file);
});

by('background').addEventListener('change', async () => {
  tell('loading');
  await head.reopen(by('background').value);
  rest();
});

/** Radians that a drag over the whole picture turns the head, and how far it may be turned. */
const [PER_PICTURE, FARTHEST] = [0.8, [0.35, 0.25]];
/** How much larger the picture may be shown. */
const LARGEST = 3;

const frame = document.querySelector('figure');
let [dragged, zoom] = [null, 1];

function turn(yaw, pitch) {
  const bound = (value, most) => Math.max(-most, Math.min(most, value));
  head?.turn(bound(yaw, FARTHEST[0]), bound(pitch, FARTHEST[1]));
}

function magnify(factor) {
  zoom = Math.max(1, Math.min(LARGEST, zoom * factor));
  frame.style.setProperty('--zoom', zoom);
}

frame.addEventListener('pointerdown', (event) => {
  if (!head) return;
  const [yaw, pitch] = head.turned;
  dragged = { x: event.clientX, y: event.clientY, yaw, pitch };
  frame.setPointerCapture(event.pointerId);
});
frame.addEventListener('pointermove', (event) => {
  if (!dragged) return;
  const scale = PER_PICTURE / frame.clientWidth;
  turn(dragged.yaw + (event.clientX - dragged.x) * scale, dragged.pitch + (event.clientY - dragged.y) * scale);
});
['pointerup', 'pointercancel'].forEach((kind) => frame.addEventListener(kind, () => { dragged = null; }));
frame.addEventListener('dblclick', () => { turn(0, 0); magnify(0); });
frame.addEventListener('wheel', (event) => {
  event.preventDefault();
  magnify(Math.exp(-event.deltaY / 500));
}, { passive: false });
frame.addEventListener('keydown', (event) => {
  const step = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, -0.05], ArrowDown: [0, 0.05] }[event.key];
  if (step && head) {
    event.preventDefault();
    turn(head.turned[0] + step[0], head.turned[1] + step[1]);
  } else if (event.key === '+' || event.key === '-') {
    magnify(event.key === '+' ? 1.2 : 1 / 1.2);
  }
});

open();
