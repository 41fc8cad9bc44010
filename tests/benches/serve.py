"""Latency of a running `serve`: text to the first sound of speech, and interruption to silence, as a client of its WebSocket sees
them, and how many pictures came. Needs nothing but Python.

    serve --listen 127.0.0.1:8000 &
    python3 tests/benches/serve.py 127.0.0.1:8000 [rounds] [sessions]
"""

import base64
import json
import os
import socket
import statistics
import struct
import sys
import threading
import time


class Session:
    """A WebSocket of the server, client side of RFC 6455."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
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
            raise SystemExit(f"no session: {status.strip()}")

    def send(self, message):
        payload = json.dumps(message).encode()
        mask = os.urandom(4)
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        masked = bytes(byte ^ mask[k % 4] for k, byte in enumerate(payload))
        self.socket.sendall(b"\x81" + length + mask + masked)

    def receive(self):
        """An event as a dictionary, or (kind, sample, payload)."""
        while True:
            head = self.file.read(2)
            length = head[1] & 127
            if length == 126:
                length = struct.unpack(">H", self.file.read(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.file.read(8))[0]
            payload = self.file.read(length)
            if head[0] & 15 == 1:
                return json.loads(payload)
            if head[0] & 15 == 2:
                return payload[0], struct.unpack("<I", payload[1:5])[0], payload[5:]


def loudest(payload):
    return max(abs(sample) for (sample,) in struct.iter_unpack("<h", payload))


def measure(address, rounds, results):
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


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    sessions = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    results = {name: [] for name in ["sound", "lips", "cut", "pictures", "rate"]}
    threads = [threading.Thread(target=measure, args=(address, rounds, results)) for _ in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
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


main()
