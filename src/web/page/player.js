// What runs beside the page, in time with the sound: a player that counts what it plays, and a microphone.

/** Blocks of 128 samples between two messages: 24 ms at 16 kHz. */
const EVERY = 3;

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = [];
    [this.received, this.played, this.gaps, this.blocks] = [0, 0, 0, 0];
    /** Whether sound was asked to end, so that its lack is none. */
    this.rests = true;
    /** Which opening of the head the numbers are of. */
    this.of = 0;
    this.port.onmessage = ({ data }) => {
      if (data.forget) {
        [this.queue, this.received, this.played, this.rests, this.of] = [[], 0, 0, true, data.forget];
      } else if (data.keep !== undefined) {
        this.keep(data.keep);
        this.rests = true;
      } else {
        this.queue.push(data);
        this.received += data.length;
        this.rests = false;
      }
    };
  }

  /** Forgets what is to be played from this sample on. */
  keep(end) {
    while (this.queue.length > 0 && this.received > end) {
      const last = this.queue.pop();
      this.received -= last.length;
      if (this.received < end) {
        const rest = last.subarray(0, end - this.received);
        this.queue.push(rest);
        this.received += rest.length;
      }
    }
  }

  process(_, [[output]]) {
    let filled = 0;
    while (filled < output.length && this.queue.length > 0) {
      const part = this.queue[0].subarray(0, output.length - filled);
      output.set(part, filled);
      filled += part.length;
      if (part.length === this.queue[0].length) this.queue.shift();
      else this.queue[0] = this.queue[0].subarray(part.length);
    }
    this.played += filled;
    if (filled < output.length && !this.rests) this.gaps++;
    if (this.blocks++ % EVERY === 0) {
      const time = currentTime + filled / sampleRate;
      this.port.postMessage({ played: this.played, time, gaps: this.gaps, of: this.of });
    }
    return true;
  }
}

class Microphone extends AudioWorkletProcessor {
  process([[input]]) {
    if (input) this.port.postMessage(input.slice());
    return true;
  }
}

registerProcessor('surfeltalk-player', Player);
registerProcessor('surfeltalk-microphone', Microphone);
