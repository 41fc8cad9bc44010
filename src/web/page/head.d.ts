/** A talking head on a canvas, drawn by WebGPU in this page. */
export class Head extends EventTarget {
  /** Opens a head file on a canvas and shows its first frame. Throws `NoWebGpu` where the browser has none. */
  static load(url: string | URL, canvas: HTMLCanvasElement, options?: HeadOptions): Promise<Head>;
  /** Starts sound and motion; call it from a click or a key. */
  start(): Promise<void>;
  /** Says an English text in the built-in voice; returns its length in seconds. */
  say(text: string): number;
  /** Adds sound to what is to be said: mono, full scale ±1, `rate` samples a second. */
  pushAudio(samples: Float32Array, rate: number): void;
  /** Decodes a sound file and says it; resolves to its length in seconds. */
  sayFile(file: Blob): Promise<number>;
  /** The lips follow the microphone. Rejects when the person does not allow it. */
  listen(): Promise<void>;
  stopListening(): void;
  /** Turns the head beside its own motion: to the viewer's right and downwards, radians; a quarter of one is much. */
  turn(yaw: number, pitch: number): void;
  readonly turned: [number, number];
  /** Falls silent. */
  interrupt(): void;
  /** Opens the head anew on a fresh canvas, with another background. */
  reopen(background?: Background): Promise<void>;
  /** Lets everything go. */
  close(): void;
  readonly width: number;
  readonly height: number;
  /** The canvas that is drawn on; another one after `reopen`. */
  readonly canvas: HTMLCanvasElement;
  readonly isStarted: boolean;
  readonly isSpeaking: boolean;
  readonly isListening: boolean;
  readonly context: AudioContext | null;
  /** The sound that is played. */
  readonly sound: AudioWorkletNode | null;
  /** Samples at 16 kHz heard until now. */
  readonly position: number;
  readonly counts: {
    /** Pictures drawn, and left out because their time had passed. */
    drawn: number;
    skipped: number;
    /** Blocks in which the player lacked sound. */
    gaps: number;
    /** Work on the page's thread, ms: the longest piece, and all. */
    longest: number;
    work: number;
  };
}

/** Of what stands behind the head: the clip's room, nothing, or a colour. */
export type Background = 'room' | 'transparent' | `#${string}`;

export interface HeadOptions {
  background?: Background;
}

/** The browser has no WebGPU. */
export class NoWebGpu extends Error {}
