#!/bin/sh
# Makes voice.{mp3,m4a,flac,opus} from voice.wav in other rates and channel counts, and silent.mp4, a film
# without sound. Needs ffmpeg with libmp3lame and libopus.
set -e
cd "$(dirname "$0")"
encode() { ffmpeg -nostdin -v error -y -i voice.wav -map_metadata -1 -fflags +bitexact -flags +bitexact "$@"; }
encode -ar 44100 -ac 2 -c:a libmp3lame -b:a 96k voice.mp3
encode -ar 48000 -ac 2 -c:a aac -b:a 96k voice.m4a
encode -ar 22050 -ac 1 -c:a flac voice.flac
encode -ar 48000 -ac 1 -c:a libopus -b:a 48k voice.opus
ffmpeg -nostdin -v error -y -f lavfi -i color=gray:size=32x32:rate=25:duration=0.2 -c:v mpeg4 -fflags +bitexact silent.mp4
