// The page: sound is played by its own clock, and each picture is shown with its sound.
const $ = id => document.getElementById(id);
// The page of an address has its language; / has that of the browser.
let language = document.documentElement.lang === 'zh' || (navigator.language || 'en').startsWith('zh') ? 'zh' : 'en';
const word = key => WORDS[language][key] || WORDS.en[key] || key;

function translate() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll('[data-text]')) node.textContent = word(node.dataset.text);
  for (const node of document.querySelectorAll('[data-label]')) node.setAttribute('aria-label', word(node.dataset.label));
  $('language').textContent = language === 'en' ? '中文' : 'English';
  $('language').lang = language === 'en' ? 'zh' : 'en';
  $('record').textContent = word(recording ? 'recording' : 'record');
  $('download').textContent = word('download');
  const auto = $('voice').options[0];
  if (auto) auto.textContent = word('auto');
  show();
}

// What the page is doing, and what it is waiting for.
let state = 's_click', detail = '';
function tell(key, more = '') { state = key; detail = more; show(); }
function show() {
  $('state').textContent = word(state) + detail;
  $('state').className = ['s_error', 's_mic', 's_lost', 's_full'].includes(state) ? 'bad' : '';
}

const query = new URLSearchParams(location.search);
let token = query.get('token') || sessionStorage.getItem('token') || '';
const bearer = () => token ? { Authorization: 'Bearer ' + token } : {};

let context, mix, socket, hello, t0 = null, ahead = 0.1, pictures = [], sources = [], captions = [], retry;
// The picture that was sent, by its name at the server.
let backdrop = '';
// When a picture was last shown; late ones are left out as long as others come.
let shown = 0;
const LATE = 0.08, STILL = 0.5;
let recording = false, asked = 0, cut = 0, speaking = false, listening = false;
const count = { drawn: 0, dropped: 0, late: 0, bytes: 0, fps: 0, rate: 0, delay: null, cut: null, buffer: null };
const surface = $('picture').getContext('2d');

// Loads a GET as JSON; what the server refuses is told.
async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { ...bearer(), ...(options.headers || {}) } });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(body.error || body.msg || answer.statusText), { status: answer.status });
  return body;
}
const post = (path, body) => ask(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

async function start() {
  $('start').hidden = true;
  if (!context) {
    context = new AudioContext({ latencyHint: 'interactive' });
    mix = context.createGain();
    mix.connect(context.destination);
    requestAnimationFrame(draw);
  }
  await context.resume();
  connect();
}

// What can be seen before anything is heard: the head as it waits, and the choices there are.
async function preview() {
  try {
    const models = await ask('/v1/models');
    options($('head'), models.data.map(model => model.id), $('head').value || models.data[0].id);
    options($('voice'), models.voices, $('voice').value, true);
    $('transport').options[1].disabled = !models.webrtc || !window.RTCPeerConnection;
    if ($('transport').options[1].disabled) $('transport').value = 'websocket';
    $('access').hidden = true;
    const still = new Image();
    still.onload = () => {
      if (hello) return;
      $('picture').width = still.naturalWidth; $('picture').height = still.naturalHeight;
      surface.drawImage(still, 0, 0);
    };
    still.src = '/avatar?' + new URLSearchParams(token ? { token } : {});
  } catch (error) {
    if (error.status === 401) { $('access').hidden = false; tell('s_token'); }
  }
}

function forget() {
  t0 = null;
  shown = 0;
  for (const source of sources) source.node.stop();
  sources = [];
  for (const picture of pictures) picture.bitmap.close();
  pictures = [];
  captions = [];
  $('captions').replaceChildren();
  hangUp();
}

async function connect() {
  clearTimeout(retry);
  if (socket) { socket.onclose = null; socket.close(); }
  socket = null;
  hello = null;
  forget();
  tell('s_connecting');
  // A WebSocket does not say why it was refused; this does.
  try {
    await ask('/v1/models');
    const ready = await fetch('/ready');
    if (!ready.ok) throw Object.assign(new Error(''), { status: 'loading' });
    $('access').hidden = true;
  } catch (error) {
    if (error.status === 401) { $('access').hidden = false; $('token').focus(); tell('s_token'); return; }
    again(error.status === 'loading' ? 's_loading' : 's_lost');
    return;
  }
  await leaving;
  const wishes = new URLSearchParams();
  if (token) wishes.set('token', token);
  if ($('head').value) wishes.set('head', $('head').value);
  wishes.set('background', { color: $('color').value, picture: backdrop || 'bg_w_torso' }[$('background').value] || $('background').value);
  if (query.get('mark')) wishes.set('mark', query.get('mark'));
  if ($('transport').value === 'webrtc') { dial(wishes); return; }
  socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/ws?' + wishes);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = event => typeof event.data === 'string' ? heard(JSON.parse(event.data)) : received(event.data);
  socket.onclose = () => again(hello ? 's_lost' : 's_full');
}
function again(why) { tell(why); retry = setTimeout(connect, 3000); }

function heard(message) {
  if (message.event === 'hello') {
    hello = message;
    $('picture').width = hello.width; $('picture').height = hello.height;
    $('stage').classList.toggle('checks', hello.picture === 'image/png');
    $('picture').style.aspectRatio = hello.width + ' / ' + hello.height;
    options($('head'), hello.heads, hello.head);
    options($('voice'), hello.voices, $('voice').value, true);
    tell('s_waiting');
    if (!$('text').value) $('text').value = word('hello');
  } else if (message.event === 'error') {
    asked = 0;
    tell('s_error', message.error);
  } else if (message.event === 'cut') {
    if (cut) { count.cut = performance.now() - cut; cut = 0; }
    const at = message.position / hello.rate;
    for (const source of sources) if (source.at >= at) source.node.stop();
    captions = captions.filter(caption => caption.at < at);
    captions.push({ at, state: 's_waiting', text: '' });
    if (t0 !== null) mix.gain.setTargetAtTime(1, t0 + at, 0.005);
  } else {
    const at = message.position / hello.rate;
    if (message.event === 'sentence') captions.push({ at, state: 's_speaking', text: message.text });
    if (message.event === 'speaking') captions.push({ at, state: 's_speaking' });
    if (message.event === 'silent') captions.push({ at, state: 's_waiting', text: '' });
    if (message.event === 'speaking' && asked) { count.delay = performance.now() - asked; asked = 0; }
  }
}
function options(select, values, chosen, automatic) {
  const all = values.map(value => new Option(value, value));
  if (automatic) all.unshift(new Option(word('auto'), ''));
  select.replaceChildren(...all);
  select.value = chosen || all[0].value;
}

// A binary message: kind, sample, payload. Sound is started at its sample, pictures wait for theirs.
async function received(data) {
  count.bytes += data.byteLength;
  if (!hello) return;
  const view = new DataView(data), kind = view.getUint8(0), at = view.getUint32(1, true) / hello.rate;
  if (kind === 0) {
    const samples = new Int16Array(data.slice(5)), buffer = context.createBuffer(1, samples.length, hello.rate);
    const channel = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i++) channel[i] = samples[i] / 32768;
    if (t0 === null) t0 = context.currentTime + ahead - at;
    if (t0 + at < context.currentTime) {
      // Too late: from now on everything is played a little later.
      count.late++;
      ahead = Math.min(ahead + 0.04, 0.6);
      t0 = context.currentTime + ahead - at;
    }
    const node = context.createBufferSource();
    node.buffer = buffer; node.connect(mix); node.start(t0 + at);
    const source = { node, at };
    sources.push(source);
    node.onended = () => { sources = sources.filter(other => other !== source); };
  } else if (kind === 1) {
    const { session } = hello, bitmap = await createImageBitmap(new Blob([data.slice(5)], { type: hello.picture }));
    // Decoded out of their order, or of a session that is over by now.
    if (!hello || hello.session !== session) { bitmap.close(); return; }
    pictures.push({ at, bitmap });
    pictures.sort((one, other) => one.at - other.at);
  }
}

function draw() {
  requestAnimationFrame(draw);
  if (t0 === null) return;
  const now = context.currentTime - t0 - (context.outputLatency || 0);
  let newest = null;
  while (pictures.length && pictures[0].at <= now) {
    if (newest) { newest.bitmap.close(); count.dropped++; }
    newest = pictures.shift();
  }
  if (newest && now - newest.at > LATE && now - shown < STILL) {
    newest.bitmap.close();
    count.dropped++;
  } else if (newest) {
    if (hello && hello.picture === 'image/png') surface.clearRect(0, 0, $('picture').width, $('picture').height);
    surface.drawImage(newest.bitmap, 0, 0);
    newest.bitmap.close();
    count.drawn++;
    shown = now;
  }
  caption(now);
}
// Shows what is said at this second of the session.
function caption(now) {
  while (captions.length && captions[0].at <= now) {
    const next = captions.shift();
    if (next.text !== undefined) {
      const span = document.createElement('span');
      span.textContent = next.text;
      $('captions').replaceChildren(...(next.text && $('show_captions').checked ? [span] : []));
    }
    speaking = next.state === 's_speaking';
    if (!listening && state !== 's_error') tell(next.state);
  }
}

async function say() {
  const text = $('text').value.trim();
  if (!text) { $('text').focus(); return; }
  if (!context) await start();
  for (let tries = 0; tries < 100 && !hello; tries++) await new Promise(done => setTimeout(done, 100));
  asked = performance.now();
  tell('s_making');
  send({ text, ...($('voice').value ? { voice: $('voice').value } : {}) });
}
function interrupt() {
  if (!hello) return;
  cut = performance.now();
  // Still at once; the server's answer says from which sample on there is sound again.
  mix.gain.cancelScheduledValues(0);
  mix.gain.setTargetAtTime(0, context.currentTime, 0.005);
  $('live').volume = 0;
  setTimeout(() => { mix.gain.setTargetAtTime(1, context.currentTime, 0.005); $('live').volume = 1; }, 400);
  send({ interrupt: true });
}

// The microphone, 16 kHz, in pieces of 20 ms.
let microphone;
const WORKLET = `registerProcessor('pieces', class extends AudioWorkletProcessor {
  constructor() { super(); this.piece = new Int16Array(320); this.length = 0; }
  process([input]) {
    for (const sample of input[0] || []) {
      this.piece[this.length++] = Math.max(-32768, Math.min(32767, sample * 32768));
      if (this.length === 320) { this.port.postMessage(this.piece.slice()); this.length = 0; }
    }
    return true;
  }
});`;
async function openMicrophone() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
  const capture = new AudioContext({ sampleRate: 16000 });
  const url = URL.createObjectURL(new Blob([WORKLET], { type: 'text/javascript' }));
  await capture.audioWorklet.addModule(url);
  URL.revokeObjectURL(url);
  const node = new AudioWorkletNode(capture, 'pieces');
  capture.createMediaStreamSource(stream).connect(node);
  node.port.onmessage = event => {
    if (listening && isOpen()) socket.send(event.data.buffer);
  };
  return capture;
}
async function talk(on) {
  if (on === listening) return;
  if (on && !hello) return;
  listening = on;
  $('talk').setAttribute('aria-pressed', String(on));
  if (!on) { tell('s_waiting'); return; }
  interrupt();
  tell('s_listening');
  try {
    if (!navigator.mediaDevices) throw new Error('https');
    microphone = microphone || await openMicrophone();
  } catch (error) {
    listening = false;
    $('talk').setAttribute('aria-pressed', 'false');
    tell('s_mic', error.message);
  }
}

async function play(file) {
  if (!context) await start();
  for (let tries = 0; tries < 100 && !hello; tries++) await new Promise(done => setTimeout(done, 100));
  if (!hello) return;
  tell('s_sending');
  const form = new FormData();
  form.append('sessionid', hello.session);
  form.append('file', file);
  try { asked = performance.now(); await ask('/humanaudio', { method: 'POST', body: form }); }
  catch (error) { asked = 0; tell('s_error', error.message); }
}

// Puts a picture behind the head.
async function place(file) {
  const form = new FormData();
  form.append('file', file);
  try { backdrop = (await ask('/v1/backgrounds', { method: 'POST', body: form })).id; } catch (error) { tell('s_error', error.message); return; }
  if (context) connect();
}

async function record() {
  if (!hello) return;
  try {
    if (recording) tell('s_video');
    await post('/record', { sessionid: hello.session, type: recording ? 'end_record' : 'start_record' });
    recording = !recording;
    $('record').setAttribute('aria-pressed', String(recording));
    $('record').textContent = word(recording ? 'recording' : 'record');
    if (!recording) {
      $('download').href = '/record/' + hello.session + (token ? '?token=' + encodeURIComponent(token) : '');
      $('download').textContent = word('download');
      $('video').hidden = false;
      tell('s_saved');
    }
  } catch (error) { tell('s_error', error.message); }
}

setInterval(async () => {
  if (call) await callFigures(call);
  count.fps = count.drawn - (count.drawnBefore || 0); count.drawnBefore = count.drawn;
  count.rate = count.bytes - (count.bytesBefore || 0); count.bytesBefore = count.bytes;
  const milliseconds = value => value === null ? '–' : value.toFixed(0) + ' ms';
  const rows = [
    ['f_fps', count.fps], ['f_dropped', count.dropped], ['f_late', count.late], ['f_buffer', milliseconds(call ? count.buffer : ahead * 1000)],
    ['f_delay', milliseconds(count.delay)], ['f_cut', milliseconds(count.cut)], ['f_rate', (count.rate * 8 / 1e6).toFixed(2) + ' Mbit/s'],
    ['f_transport', hello ? (call ? 'WebRTC' : 'WebSocket') : '–'], ['f_size', hello ? hello.width + ' × ' + hello.height : '–'],
  ];
  $('figures').replaceChildren(...rows.flatMap(([key, value]) => {
    const [name, figure] = [document.createElement('dt'), document.createElement('dd')];
    name.textContent = word(key); figure.textContent = value;
    return [name, figure];
  }));
}, 1000);

async function debug(changed) {
  try {
    const switches = { enabled: $('debug_enabled').checked, save_frames: $('debug_frames').checked, save_audio: $('debug_audio').checked };
    const now = changed ? await post('/debug/config', switches) : await ask('/debug/status');
    $('debug_enabled').checked = now.enabled; $('debug_frames').checked = now.save_frames; $('debug_audio').checked = now.save_audio;
    $('debug_state').textContent = [now.frames_dir, now.audio_dir].filter(Boolean).join(', ');
  } catch (error) { $('debug_state').textContent = error.message; }
}

$('language').onclick = () => {
  language = language === 'en' ? 'zh' : 'en';
  history.replaceState(null, '', (language === 'zh' ? '/zh' : '/') + location.search);
  translate();
};
$('start').onclick = start;
$('enter').onclick = () => { token = $('token').value.trim(); sessionStorage.setItem('token', token); start(); };
$('token').onkeydown = event => { if (event.key === 'Enter') $('enter').click(); };
$('say').onclick = say;
$('stop').onclick = interrupt;
$('record').onclick = record;
$('text').onkeydown = event => { if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); say(); } };
$('head').onchange = $('color').onchange = () => { if (context) connect(); };
$('transport').onchange = () => { $('transport_note').hidden = true; if (context) connect(); };
$('background').onchange = () => {
  const kind = $('background').value;
  $('color_row').hidden = kind !== 'color';
  $('picture_row').hidden = kind !== 'picture';
  if (context && (kind !== 'picture' || backdrop)) connect();
};
$('backdrop').onchange = () => { if ($('backdrop').files[0]) place($('backdrop').files[0]); };
$('debug').ontoggle = () => { if ($('debug').open) debug(false); };
for (const id of ['debug_enabled', 'debug_frames', 'debug_audio']) $(id).onchange = () => debug(true);
document.addEventListener('keydown', event => { if (event.key === 'Escape') interrupt(); });
$('talk').onpointerdown = event => { $('talk').setPointerCapture(event.pointerId); talk(true); };
$('talk').onpointerup = $('talk').onpointercancel = () => talk(false);
$('talk').onkeydown = event => { if ([' ', 'Enter'].includes(event.key) && !event.repeat) { event.preventDefault(); talk(true); } };
$('talk').onkeyup = event => { if ([' ', 'Enter'].includes(event.key)) talk(false); };
$('talk').onblur = () => talk(false);
$('file').onchange = () => { if ($('file').files[0]) play($('file').files[0]); $('file').value = ''; };
for (const name of ['dragover', 'dragleave', 'drop']) document.addEventListener(name, event => {
  event.preventDefault();
  $('drop').classList.toggle('over', name === 'dragover');
  if (name !== 'drop' || !event.dataTransfer.files[0]) return;
  const file = event.dataTransfer.files[0];
  if (!file.type.startsWith('image/')) { play(file); return; }
  $('background').value = 'picture';
  $('color_row').hidden = true;
  $('picture_row').hidden = false;
  place(file);
});
if (query.get('token')) { sessionStorage.setItem('token', token); history.replaceState(null, '', location.pathname + (query.get('mark') ? '?mark=' + encodeURIComponent(query.get('mark')) : '')); }
if (query.get('transport') === 'webrtc') $('transport').value = 'webrtc';
translate();
preview();
