// A talking head on a canvas, drawn by WebGPU in this page. Nothing is sent anywhere.
//
//     import { Head } from './head.js';
//     const head = await Head.load('head.safetensors', document.querySelector('canvas'));
//     await head.start();                       // after a click: browsers allow sound only then
//     head.say('Hello there!');                 // or head.pushAudio(samples, rate)

import init, { SpeakingHead, say } from './surfeltalk.js';

/** Samples a second of the whole chain. */
const RATE = 16000;
/** Frames that are pushed ahead of the sound that is heard, beside the head's look-ahead. */
const AHEAD_FRAMES = 6;
/** Frames that may be drawn on the device at once: more would be late where it is slow. */
const IN_FLIGHT = 1;
/** A picture is drawn this long before its sound is heard, seconds: it takes a refresh of the screen to be seen. */
const LEAD = 0.02;

/** Compiles the module once; it is packed, since not every host packs what it serves. */
let module = null;
function compiled() {
  module ??= (async () => {
    const answer = await fetch(new URL('./surfeltalk.wasm.gz', import.meta.url));
    if (!answer.ok) throw new Error(`surfeltalk.wasm.gz: expected the module, found ${answer.status}`);
    const unpacked = answer.body.pipeThrough(new DecompressionStream('gzip'));
    const headers = { 'content-type': 'application/wasm' };
    await init({ module_or_path: new Response(unpacked, { headers }) });
  })();
  return module;
}

/** What happens is told by events: `speaking`, `waiting`, `lost` (the device went away and the head could not be opened anew). */
export class Head extends EventTarget {
  #head = null;
  #bytes = null;
  #canvas = null;
  #background = 'room';
  #context = null;
  #player = null;
  #microphone = null;
  /** Sound that was not pushed yet, and how far into its first piece. */
  #queue = [];
  #heard = [];
  /** Samples given to the head, and to the player. */
  #pushed = 0;
  #given = 0;
  /** What the player said last: samples played, and the context's time then. */
  #clock = { played: 0, time: 0 };
  #speaking = false;
  #ended = false;
  #opening = false;
  /** How often the head was opened anew: what the player says of an earlier time is not listened to. */
  #time = 0;
  #turn = [0, 0];
  /** For tests and statistics. */
  counts = { drawn: 0, skipped: 0, gaps: 0, longest: 0, work: 0 };

  /**
   * Opens a head file on a canvas and shows its first frame.
   * @param url where the head file is
   * @param options `background`: 'room', 'transparent' or '#rrggbb'
   */
  static async load(url, canvas, { background = 'room' } = {}) {
    if (!navigator.gpu) throw new NoWebGpu();
    const head = new Head();
    const bytes = await fetched(url);
    await compiled();
    [head.#bytes, head.#canvas, head.#background] = [bytes, canvas, background];
    await head.#open();
    return head;
  }

  async #open() {
    this.#head = await SpeakingHead.open(this.#bytes, this.#canvas, this.#background);
    this.#head.turn(...this.#turn);
    const first = this.#head.lookAhead + 2 * this.#head.samplesPerFrame;
    [this.#pushed, this.#given] = [first, 0];
    this.#head.pushAudio(new Float32Array(first), RATE);
    this.#head.draw();
  }

  /** Opens the head anew on a fresh canvas, with another background or after the device was lost. */
  async reopen(background = this.#background) {
    this.#opening = true;
    try {
      const canvas = this.#canvas.cloneNode();
      this.#canvas.replaceWith(canvas);
      this.#head?.free();
      [this.#head, this.#canvas, this.#background] = [null, canvas, background];
      await this.#open();
      this.#time++;
      this.#player?.port.postMessage({ forget: this.#time });
      this.#clock = { played: 0, time: this.#context?.currentTime ?? 0 };
    } finally {
      this.#opening = false;
    }
  }

  get width() { return this.#head.width; }
  get height() { return this.#head.height; }
  get canvas() { return this.#canvas; }
  get isSpeaking() { return this.#speaking; }
  get isStarted() { return this.#player !== null; }
  /** The sound that is played, as a node that others may listen to. */
  get sound() { return this.#player; }
  get context() { return this.#context; }

  /** Starts sound and motion. Call it from a click or a key. */
  async start() {
    if (this.#player) return this.#context.resume();
    this.#context = new AudioContext({ sampleRate: RATE, latencyHint: 'interactive' });
    await this.#context.audioWorklet.addModule(new URL('./player.js', import.meta.url));
    this.#player = new AudioWorkletNode(this.#context, 'surfeltalk-player', { outputChannelCount: [1] });
    this.#player.port.onmessage = ({ data }) => this.#tick(data);
    this.#player.connect(this.#context.destination);
    await this.#context.resume();
    const turn = () => {
      if (this.#ended) return;
      this.#show();
      requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
  }

  /** Says an English text in the built-in voice. Returns its length in seconds. */
  say(text) {
    const samples = say(text);
    this.pushAudio(samples, RATE);
    return samples.length / RATE;
  }

  /** Adds sound to what is to be said: mono, full scale ±1. */
  pushAudio(samples, rate) {
    this.#queue.push(rate === RATE ? Float32Array.from(samples) : resampled(samples, rate));
  }

  /** Decodes a sound file, such as a dropped one, and says it. Returns its length in seconds. */
  async sayFile(file) {
    const sound = await this.#context.decodeAudioData(await file.arrayBuffer());
    const mono = new Float32Array(sound.length);
    for (let channel = 0; channel < sound.numberOfChannels; channel++) {
      sound.getChannelData(channel).forEach((value, at) => { mono[at] += value / sound.numberOfChannels; });
    }
    this.pushAudio(mono, sound.sampleRate);
    return sound.duration;
  }

  /** The lips follow the microphone, which is not played. Fails when the person does not allow it. */
  async listen() {
    const wanted = { channelCount: 1, echoCancellation: true, noiseSuppression: true };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    try {
      const source = this.#context.createMediaStreamSource(stream);
      const node = new AudioWorkletNode(this.#context, 'surfeltalk-microphone', { numberOfOutputs: 0 });
      node.port.onmessage = ({ data }) => this.#heard.push(data);
      source.connect(node);
      this.#microphone = { stream, source };
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      throw error;
    }
  }

  /** The microphone is let go. */
  stopListening() {
    this.#microphone?.source.disconnect();
    this.#microphone?.stream.getTracks().forEach((track) => track.stop());
    [this.#microphone, this.#heard] = [null, []];
  }

  get isListening() { return this.#microphone !== null; }

  /** Turns the head beside its own motion: to the viewer's right and downwards, radians; a quarter of one is much. */
  turn(yaw, pitch) {
    this.#turn = [yaw, pitch];
    this.#head?.turn(yaw, pitch);
  }

  get turned() { return [...this.#turn]; }

  /** Falls silent. */
  interrupt() {
    this.#queue = [];
    if (!this.#player || !this.#head) return;
    // What no frame was made for yet is forgotten by the head and by the player alike.
    this.#pushed = this.#head.restart() * this.#head.samplesPerFrame;
    this.#player.port.postMessage({ keep: this.#pushed });
    this.#given = Math.min(this.#given, this.#pushed);
  }

  /** Lets everything go. */
  close() {
    this.#ended = true;
    this.stopListening();
    this.#context?.close();
    this.#head?.free();
    this.#head = null;
  }

  /** Samples heard until now. */
  get position() {
    if (!this.#context) return 0;
    const since = Math.max(0, this.#context.currentTime - this.#clock.time);
    return this.#clock.played + (since - (this.#context.outputLatency || 0)) * RATE;
  }

  /** The player took some samples: as many more are pushed. */
  #tick({ played, time, gaps, of }) {
    if (this.#opening || !this.#head || of !== this.#time) return;
    const start = performance.now();
    this.#clock = { played, time };
    this.counts.gaps = gaps;
    const frame = this.#head.samplesPerFrame;
    const ahead = this.#head.lookAhead + AHEAD_FRAMES * frame;
    while (this.#pushed < played + ahead) {
      const piece = this.#next(frame / 2);
      this.#head.pushAudio(piece, RATE);
      this.#pushed += piece.length;
      // The first frame was drawn from silence before there was a player.
      const late = this.#pushed - this.#given - piece.length;
      const pieces = late > 0 ? [new Float32Array(late)] : [];
      pieces.push(this.#microphone ? new Float32Array(piece.length) : piece);
      pieces.forEach((samples) => { this.#given += samples.length; this.#player.port.postMessage(samples); });
    }
    this.#worked(start);
  }

  #worked(start) {
    const took = performance.now() - start;
    this.counts.work += took;
    this.counts.longest = Math.max(this.counts.longest, took);
  }

  /** The next samples: of the microphone, of what is to be said, or silence. */
  #next(count) {
    const piece = new Float32Array(count);
    const queue = this.#microphone ? this.#heard : this.#queue;
    let filled = 0;
    while (filled < count && queue.length > 0) {
      const part = queue[0].subarray(0, count - filled);
      piece.set(part, filled);
      filled += part.length;
      if (part.length === queue[0].length) queue.shift(); else queue[0] = queue[0].subarray(part.length);
    }
    const speaks = filled > 0 && !this.#microphone;
    if (speaks !== this.#speaking) {
      this.#speaking = speaks;
      this.dispatchEvent(new Event(speaks ? 'speaking' : 'waiting'));
    }
    return piece;
  }

  /** Draws the frame whose sound is heard; those whose time has passed are left out. */
  #show() {
    if (this.#opening || !this.#head) return;
    if (this.#head.isLost) { this.#recover(); return; }
    const start = performance.now();
    const due = Math.floor((this.position + LEAD * RATE) / this.#head.samplesPerFrame);
    while (this.#head.frames < due && this.#head.skip()) this.counts.skipped++;
    try {
      if (this.#head.frames <= due && this.#head.pending < IN_FLIGHT && this.#head.draw()) this.counts.drawn++;
    } catch (error) {
      if (!this.#head.isLost) throw error;
    }
    this.#worked(start);
  }

  async #recover() {
    try {
      await this.reopen();
    } catch (error) {
      this.#ended = true;
      this.dispatchEvent(new CustomEvent('lost', { detail: String(error.message ?? error) }));
    }
  }
}

/** The browser has no WebGPU. */
export class NoWebGpu extends Error {
  constructor() { super('This browser has no WebGPU, by which the head is drawn.'); }
}

async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: expected a head file, found ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Linear between samples: for sounds that the browser did not decode to our rate itself. */
function resampled(samples, rate) {
  const length = Math.floor((samples.length * RATE) / rate);
  return Float32Array.from({ length }, (_, at) => {
    const from = (at * rate) / RATE;
    const low = Math.floor(from);
    const next = samples[Math.min(low + 1, samples.length - 1)];
    return samples[low] + (next - samples[low]) * (from - low);
  });
}
