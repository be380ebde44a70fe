"""Sounds made from nothing: what the audio models listen to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HARMONICS = 8


def tone(pitches: Sequence[float], seconds: float, rate: int) -> np.ndarray:
    """Notes (in Hz) sounding together like plucked strings: overtones that die away."""
    time = np.arange(int(seconds * rate)) / rate
    sound = np.zeros_like(time)
    for pitch in pitches:
        for harmonic in range(1, HARMONICS + 1):
            sound += np.sin(2 * np.pi * harmonic * pitch * time) * np.exp(-harmonic * time) / harmonic
    return sound / max(len(pitches), 1)


def semitones(*steps: int) -> list[float]:
    """Pitches that many semitones above middle C."""
    return [261.6256 * 2 ** (step / 12) for step in steps]


def noise(seconds: float, rate: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, int(seconds * rate))


def music(rate: int) -> np.ndarray:
    """About 45 s: scales over three octaves, chords, silence and noise, FLOAT in [-1, 1]."""
    scale = [step + octave for octave in (-12, 0, 12) for step in (0, 2, 4, 5, 7, 9, 11)]
    chords = [(0, 4, 7), (-3, 0, 4), (5, 9, 12), (7, 11, 14), (-5, -1, 2, 5), (0, 4, 7, 11, 14)]
    parts = [tone(semitones(step), 0.6, rate) for step in (*scale, *reversed(scale))]
    parts += [tone(semitones(*chord), 1.5, rate) for chord in chords]
    parts += [np.zeros(rate), 0.1 * noise(3, rate, seed=1)]
    parts += [tone(semitones(*chord), 1, rate) + 0.05 * noise(1, rate, seed=2) for chord in chords]
    return normalised(np.concatenate(parts))


def speech(rate: int) -> np.ndarray:
    """About 8 s that a voice detector takes for a voice in places: vowels in syllables, with pauses, hiss and hum."""
    vowels = [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480)]
    spoken = [syllable(vowel, 95 + 12 * turn, 0.22, rate) for turn, vowel in enumerate(vowels * 2)]
    pause = np.zeros(int(0.06 * rate))
    sentence = np.concatenate([sound for word in spoken for sound in (word, pause)])
    hum = 0.2 * tone([110], 1, rate)
    quiet = np.concatenate([np.zeros(rate), 0.02 * noise(1, rate, seed=3), hum])
    sounds = np.concatenate([sentence, quiet, sentence[::-1], sentence])
    return normalised(sounds + 0.001 * np.random.default_rng(4).normal(0, 1, len(sounds)))


def syllable(formants: Sequence[float], pitch: float, seconds: float, rate: int) -> np.ndarray:
    """Overtones of a gliding pitch, loud near the formants, swelling and fading."""
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(pitch * (1.15 - 0.3 * time / seconds)) / rate
    sound = np.zeros_like(time)
    for harmonic in range(1, int(rate / 2 / (1.2 * pitch))):
        frequency = harmonic * pitch
        loudness = sum(1 / (1 + ((frequency - formant) / 90) ** 2) for formant in formants) + 0.02
        sound += loudness * np.sin(harmonic * phase) / harmonic**0.5
    return sound * np.sin(np.pi * time / seconds) ** 0.5


def normalised(sound: np.ndarray) -> np.ndarray:
    return (0.9 * sound / np.abs(sound).max()).astype(np.float32)
