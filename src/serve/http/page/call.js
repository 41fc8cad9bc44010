// A call by WebRTC in place of the WebSocket, and the time of its last picture.
let call = null, callTime = { last: 0, turns: 0 }, callPlace = null, leaving = null;
// What the browser keeps of sound and of pictures before they are played, ms: the same of both, so that they begin together.
const KEPT = 100;
// Messages go by either: a WebSocket or a data channel.
const isOpen = () => socket && (socket.readyState === WebSocket.OPEN || socket.readyState === 'open');
function send(message) {
  if (isOpen()) socket.send(JSON.stringify(message));
}

const leave = place => fetch(place, { method: 'DELETE', headers: bearer(), keepalive: true }).catch(() => {});
addEventListener('pagehide', () => hangUp());
function hangUp() {
  const old = call;
  call = null;
  if (old) {
    old.onconnectionstatechange = null;
    // Its place at the server is free at once.
    leaving = (callPlace ? leave(callPlace) : Promise.resolve()).finally(() => old.close());
  }
  callPlace = null;
  const live = document.getElementById('live');
  live.srcObject = null;
  live.hidden = true;
  document.getElementById('picture').hidden = false;
}

// The browser plays sound and pictures itself, and keeps them together. Messages go over a data channel.
async function dial(wishes) {
  const mine = call = new RTCPeerConnection(), stream = new MediaStream(), live = $('live');
  callTime = { last: 0, turns: 0 };
  const gone = why => { if (call === mine) { callPlace = null; forget(); hello = null; again(why); } };
  // Where UDP finds no way the WebSocket does.
  const wait = setTimeout(() => {
    if (call !== mine) return;
    $('transport').value = 'websocket';
    $('transport_note').hidden = false;
    connect();
  }, 8000);
  for (const kind of ['video', 'audio']) mine.addTransceiver(kind, { direction: 'recvonly' });
  const channel = mine.createDataChannel('surfeltalk');
  channel.binaryType = 'arraybuffer';
  channel.onopen = () => clearTimeout(wait);
  channel.onmessage = event => heard(JSON.parse(event.data));
  channel.onclose = () => gone('s_lost');
  mine.onconnectionstatechange = () => { if (mine.connectionState === 'failed' && hello) gone('s_lost'); };
  mine.ontrack = event => {
    stream.addTrack(event.track);
    event.receiver.jitterBufferTarget = KEPT;
    live.srcObject = stream;
    live.hidden = false;
    $('picture').hidden = true;
    live.play().catch(() => {});
  };
  if (live.requestVideoFrameCallback) {
    const seen = (now, frame) => {
      if (call !== mine) return;
      live.requestVideoFrameCallback(seen);
      count.drawn++;
      caption(callSeconds(frame.rtpTimestamp));
    };
    live.requestVideoFrameCallback(seen);
  }
  socket = channel;
  try {
    await mine.setLocalDescription();
    const answer = await fetch('/whep?' + wishes, { method: 'POST', headers: { ...bearer(), 'Content-Type': 'application/sdp' }, body: mine.localDescription.sdp });
    const text = await answer.text();
    const place = answer.headers.get('Location');
    if (call !== mine) { if (place) leave(place); return; }
    callPlace = place;
    if (!answer.ok) {
      clearTimeout(wait);
      forget();
      if (answer.status === 503) again('s_full'); else tell('s_error', JSON.parse(text).error);
      return;
    }
    await mine.setRemoteDescription({ type: 'answer', sdp: text });
  } catch (error) { clearTimeout(wait); if (call === mine) { forget(); tell('s_error', error.message); } }
}
// The time of a picture in seconds of the session: its count at 90 kHz begins again after 13 hours.
function callSeconds(ticks) {
  if (ticks === undefined) return Infinity;
  if (ticks < callTime.last - 2 ** 31) callTime.turns++;
  callTime.last = ticks;
  return (ticks + callTime.turns * 2 ** 32) / 90000;
}

// What the browser counts of a call.
async function callFigures(connection) {
  for (const report of (await connection.getStats()).values()) {
    if (report.type !== 'inbound-rtp') continue;
    if (report.kind === 'audio') {
      count.buffer = report.jitterBufferEmittedCount ? 1000 * report.jitterBufferDelay / report.jitterBufferEmittedCount : null;
      count.late = report.packetsDiscarded || 0;
    } else count.dropped = report.framesDropped || 0;
    count.heard = { ...count.heard, [report.kind]: report.bytesReceived };
  }
  const all = Object.values(count.heard || {}).reduce((sum, bytes) => sum + bytes, 0);
  count.bytes += Math.max(0, all - (count.heardBefore || 0));
  count.heardBefore = all;
}
