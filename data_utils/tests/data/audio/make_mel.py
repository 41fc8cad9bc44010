"""Makes voice.wav and voice_mel.npy, a synthetic voice and its AVE mel spectrogram by librosa >= 0.10, and
voice_flac_mel.npy, that of voice.flac resampled by librosa.

python make_mel.py            (numpy, scipy, librosa, soundfile, soxr)
"""
import os

import librosa
import numpy as np
import soundfile
from scipy import signal

RATE = 16000


def voice():
    """1.5 s: a gliding buzz through two formants, noise, digital silence, a quiet tone, a loud end."""
    rng = np.random.default_rng(7)
    n = int(0.6 * RATE)
    pitch = np.linspace(110, 180, n)
    buzz = signal.sawtooth(2 * np.pi * np.cumsum(pitch) / RATE)
    vowel = sum(signal.lfilter(*signal.iirpeak(f, 8, fs=RATE), buzz) for f in (600, 1700)) * 0.5
    noise = 0.1 * rng.standard_normal(int(0.3 * RATE))
    tone = 0.002 * np.sin(2 * np.pi * 3000 * np.arange(int(0.2 * RATE)) / RATE)
    end = 0.99 * np.sign(np.sin(2 * np.pi * 431 * np.arange(int(0.2 * RATE) + 37) / RATE))
    return np.concatenate([vowel, noise, np.zeros(int(0.2 * RATE)), tone, end]).clip(-1, 1)


def melspectrogram(wav):
    """Wav2Lip's audio.melspectrogram with the parameters of the audio-visual encoder."""
    emphasised = signal.lfilter([1, -0.97], [1], wav)
    stft = librosa.stft(y=emphasised, n_fft=800, hop_length=200, win_length=800)
    basis = librosa.filters.mel(sr=RATE, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    decibels = 20 * np.log10(np.maximum(1e-5, basis @ np.abs(stft))) - 20
    return np.clip(8 * ((decibels + 100) / 100) - 4, -4, 4)


if __name__ == "__main__":
    soundfile.write("voice.wav", voice(), RATE, subtype="PCM_16")
    wav, _ = librosa.load("voice.wav", sr=RATE)
    mel = melspectrogram(wav).T.astype(np.float32)
    np.save("voice_mel.npy", mel)
    if os.path.exists("voice.flac"):  # made from voice.wav by make_sounds.sh, at 22050 Hz
        resampled, _ = librosa.load("voice.flac", sr=RATE)
        np.save("voice_flac_mel.npy", melspectrogram(resampled).T.astype(np.float32))
    print(librosa.__version__, len(wav), mel.shape, mel.min(), mel.max())
