"""A running `serve` as clients of its WebSocket see it. Needs nothing but Python.

    serve --listen 127.0.0.1:8000 &
    python3 tests/benches/serve.py 127.0.0.1:8000 latency  [rounds] [sessions]   text to sound, interruption to silence, pictures
    python3 tests/benches/serve.py 127.0.0.1:8000 churn    [times]               connects and disconnects; the server's memory
    python3 tests/benches/serve.py 127.0.0.1:8000 slow     [seconds] [readers]   readers that read next to nothing, and one that reads
    python3 tests/benches/serve.py 127.0.0.1:8000 overload [seconds]             twice as many as fit: how fast they are refused
    python3 tests/benches/serve.py 127.0.0.1:8000 soak     [seconds] [sessions]  they speak now and then; drift, gaps and memory

Memory is that of the process that listens on the port, where /proc tells it.
"""

import base64
import glob
import json
import os
import re
import socket
import statistics
import struct
import sys
import threading
import time
import urllib.request


class Refused(Exception):
    pass


class Session:
    """A WebSocket of the server, client side of RFC 6455."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self.file = self.socket.makefile("rb")
        status = self.file.readline().decode()
        while self.file.readline() not in (b"\r\n", b""):
            pass
        if " 101 " not in status:
            self.close()
            raise Refused(status.strip())

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, message):
        payload = json.dumps(message).encode()
        mask = os.urandom(4)
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        masked = bytes(byte ^ mask[k % 4] for k, byte in enumerate(payload))
        self.socket.sendall(b"\x81" + length + mask + masked)

    def receive(self):
        """An event as a dictionary, or (kind, sample, payload); None when the server closed."""
        while True:
            head = self.file.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                return None
            length = head[1] & 127
            if length == 126:
                length = struct.unpack(">H", self.file.read(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.file.read(8))[0]
            payload = self.file.read(length)
            if head[0] & 15 == 9:
                self.socket.sendall(b"\x8a\x80" + os.urandom(4))
            if head[0] & 15 == 1:
                return json.loads(payload)
            if head[0] & 15 == 2:
                return payload[0], struct.unpack("<I", payload[1:5])[0], payload[5:]


def loudest(payload):
    return max(abs(sample) for (sample,) in struct.iter_unpack("<h", payload))


def metrics(address):
    text = urllib.request.urlopen(f"http://{address}/metrics").read().decode()
    return {name: float(value) for name, value in re.findall(r"^surfeltalk_(\S+) (\S+)$", text, re.M)}


def memory(address):
    """Resident memory of who listens on the port, in MB; none where it cannot be told."""
    port = f":{int(address.rsplit(':', 1)[1]):04X}"
    try:
        rows = open("/proc/net/tcp").read().splitlines()[1:]
        inodes = {row.split()[9] for row in rows if row.split()[1].endswith(port) and row.split()[3] == "0A"}
        for link in glob.glob("/proc/[0-9]*/fd/*"):
            try:
                if os.readlink(link) in {f"socket:[{inode}]" for inode in inodes}:
                    status = open(f"/proc/{link.split('/')[2]}/status").read()
                    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024
            except OSError:
                continue
    except OSError:
        pass
    return None


def show_memory(what, value):
    print(f"{what:36} {'not known' if value is None else f'{value:.1f} MB'}")


def converse(address, rounds, results):
    session = Session(address)
    begin = time.monotonic()
    sounds = pictures = 0
    for _ in range(rounds):
        asked = time.monotonic()
        session.send({"text": "One two three four five six seven eight nine ten."})
        spoken = drawn = cut = None
        end = None
        while end is None or time.monotonic() < end:
            message = session.receive()
            now = time.monotonic()
            if message is None:
                raise SystemExit("the server closed")
            if isinstance(message, dict):
                if message["event"] == "cut":
                    results["cut"].append(now - interrupted)
                    end = now + 0.5
                continue
            kind, position, payload = message
            sounds += kind == 0
            pictures += kind == 1
            if kind == 0 and spoken is None and loudest(payload) > 1000:
                spoken = position
                results["sound"].append(now - asked)
            if kind == 1 and spoken is not None and drawn is None and position >= spoken:
                drawn = position
                results["lips"].append(now - asked)
            if cut is None and spoken is not None and position >= spoken + 16000:
                cut = position
                interrupted = now
                session.send({"interrupt": True})
    results["pictures"].append(pictures / max(1, sounds))
    results["rate"].append(pictures / (time.monotonic() - begin))
    session.close()


def latency(address, rounds=10, sessions=1):
    results = {name: [] for name in ["sound", "lips", "cut", "pictures", "rate"]}
    together([lambda: converse(address, rounds, results) for _ in range(sessions)])
    for name, text in [
        ("sound", "text to the first sound of speech"),
        ("lips", "text to its first picture"),
        ("cut", "interruption to silence"),
    ]:
        times = sorted(1e3 * value for value in results[name])
        if times:
            print(f"{text:36} median {statistics.median(times):6.0f} ms, longest {times[-1]:6.0f} ms of {len(times)}")
    if results["pictures"]:
        share = 100 * statistics.mean(results["pictures"])
        print(f"{'pictures':36} {share:.1f} % of 25 a second, {min(results['rate']):.1f} a second in the slowest session")


def together(works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def churn(address, times=1000):
    def once():
        session = Session(address)
        while not isinstance(session.receive(), tuple):
            pass
        session.close()

    refused = 0
    warm = min(100, times // 5)
    begin = time.monotonic()
    for k in range(times):
        try:
            once()
        except Refused:
            refused += 1
            time.sleep(0.05)
        if k + 1 == warm:
            show_memory(f"memory after {warm} sessions", memory(address))
    seconds = time.monotonic() - begin
    print(f"{'sessions opened and left':36} {times - refused} in {seconds:.0f} s, {refused} refused")
    time.sleep(1)
    show_memory(f"memory after {times}", memory(address))
    print(f"{'sessions still open':36} {metrics(address)['sessions']:.0f}")


def slow(address, seconds=20, readers=3):
    def creep():
        try:
            session = Session(address)
            end = time.monotonic() + seconds
            while time.monotonic() < end and session.socket.recv(16):
                time.sleep(0.5)
            session.close()
        except (Refused, OSError) as error:
            print(f"{'a slow reader':36} {error}")

    def read():
        session = Session(address)
        begin = time.monotonic()
        sounds = pictures = 0
        longest, last = 0.0, begin
        while time.monotonic() < begin + seconds:
            message = session.receive()
            if isinstance(message, tuple):
                sounds += message[0] == 0
                pictures += message[0] == 1
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
        print(f"{'one that reads':36} {sounds / seconds:.1f} sounds and {pictures / seconds:.1f} pictures a second,")
        print(f"{'':36} longest wait {1e3 * longest:.0f} ms")
        session.close()

    together([read] + [creep] * readers)
    show_memory("memory", memory(address))


def overload(address, seconds=10):
    held = []
    try:
        while len(held) < 200:
            held.append(Session(address))
    except Refused as refusal:
        print(f"{'sessions that fit':36} {len(held)}, then: {refusal}")
    times, stop = [], time.monotonic() + seconds
    counts = [0] * len(held)

    def read(k):
        while time.monotonic() < stop:
            message = held[k].receive()
            counts[k] += isinstance(message, tuple) and message[0] == 1

    def knock():
        while time.monotonic() < stop:
            begin = time.monotonic()
            try:
                Session(address).close()
            except Refused:
                times.append(time.monotonic() - begin)
            time.sleep(0.02)

    together([lambda k=k: read(k) for k in range(len(held))] + [knock] * max(1, len(held)))
    if times:
        times.sort()
        print(
            f"{'refusals':36} {len(times)}, median {1e3 * statistics.median(times):.0f} ms, 99 % in "
            f"{1e3 * times[int(0.99 * (len(times) - 1))]:.0f} ms, longest {1e3 * times[-1]:.0f} ms"
        )
    if counts:
        print(f"{'pictures a second meanwhile':36} {min(counts) / seconds:.1f} in the slowest session")
    for session in held:
        session.close()


def soak(address, seconds=3600, sessions=1):
    drifts, gaps = [], []

    def speak(k):
        session = Session(address)
        begin = first = None
        next_text, expected, gap = time.monotonic() + k, None, 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if time.monotonic() >= next_text:
                session.send({"text": "This is said now and then, and then there is silence."})
                next_text += 10
            message = session.receive()
            if message is None:
                raise SystemExit("the server closed")
            if isinstance(message, tuple) and message[0] == 0:
                now, position = time.monotonic(), message[1]
                if begin is None:
                    begin, first = now, position
                gap += expected is not None and position != expected
                expected = (position + len(message[2]) // 2) % 2**32
                # How much earlier than at first sound comes; less is what was late on its way.
                drifts.append((now - begin, (position - first) / 16000 - (now - begin)))
        gaps.append(gap)
        session.close()

    start = memory(address)
    together([lambda k=k: speak(k) for k in range(sessions)])
    # The earliest of a minute is what nothing held up.
    early = [drift for at, drift in drifts if at < 60 and at > 2]
    late = [drift for at, drift in drifts if at > seconds - 60]
    print(f"{'drift of sound against the clock':36} {1e3 * (max(late) - max(early)):.1f} ms in {seconds} s")
    print(f"{'gaps in the sound':36} {sum(gaps)}")
    show_memory("memory at first", start)
    show_memory("memory at last", memory(address))


MODES = {mode.__name__: mode for mode in [latency, churn, slow, overload, soak]}


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000"
    name = sys.argv[2] if len(sys.argv) > 2 else "latency"
    if name not in MODES:
        raise SystemExit(__doc__)
    MODES[name](address, *(int(number) for number in sys.argv[3:]))


main()
