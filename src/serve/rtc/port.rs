//! One UDP port for all calls. The first datagrams of a call ask for it by its name (a STUN binding request, RFC 8489, names whom it
//! wants); the ones after them come from the same address.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The largest datagram, bytes.
const LARGEST: usize = 2048;
/// Datagrams of a call that wait; more are lost, as on the way.
const WAITING: usize = 256;
/// Addresses from which one call may come.
const ADDRESSES: usize = 16;
/// How often the thread looks whether anyone still needs it.
const TICK: Duration = Duration::from_millis(500);

/// The port.
pub struct Port {
    socket: UdpSocket,
    local: SocketAddr,
    public: Option<IpAddr>,
    calls: Mutex<Calls>,
}

/// What came for a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Datagram {
    /// From whom.
    pub source: SocketAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

#[derive(Default)]
struct Calls {
    by_name: BTreeMap<String, Sender<Datagram>>,
    by_address: BTreeMap<SocketAddr, String>,
}

/// A call that datagrams are handed to, as long as this lives.
pub struct Call {
    port: Arc<Port>,
    name: String,
    datagrams: Receiver<Datagram>,
}

impl Port {
    /// Opens the port. `public` is the address under which others see this computer, where that is another one.
    ///
    /// # Errors
    /// When the address is taken, or the system gives no thread.
    pub fn open(address: SocketAddr, public: Option<IpAddr>) -> io::Result<Arc<Self>> {
        let socket = UdpSocket::bind(address)?;
        let receiver = socket.try_clone()?;
        receiver.set_read_timeout(Some(TICK))?;
        let local = socket.local_addr()?;
        let port = Arc::new(Port { socket, local, public, calls: Mutex::default() });
        let weak = Arc::downgrade(&port);
        std::thread::Builder::new().name("calls".into()).spawn(move || receive(&receiver, &weak))?;
        Ok(port)
    }

    /// Where it is.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Where the other end of a call is told to send: the public address; else the one that is listened on; else, where that is
    /// all of this computer's, the one by which the request's `host` came, or that of the network's way out.
    pub fn address(&self, host: Option<&str>) -> SocketAddr {
        let listened = Some(self.local.ip()).filter(|ip| !ip.is_unspecified());
        let ip = self.public.or(listened).or_else(|| host.and_then(named)).or_else(way_out);
        SocketAddr::new(ip.unwrap_or(Ipv4Addr::LOCALHOST.into()), self.local.port())
    }

    /// Hands datagrams to the call of this name from now on.
    pub fn call(self: &Arc<Self>, name: String) -> Call {
        let (sender, datagrams) = channel(WAITING);
        self.lock().by_name.insert(name.clone(), sender);
        Call { port: Arc::clone(self), name, datagrams }
    }

    /// Sends a datagram; one that cannot be sent is lost, as on the way.
    pub fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let _ = self.socket.send_to(bytes, to);
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// The next datagram. It comes as long as this lives.
    pub async fn next(&mut self) -> Option<Datagram> {
        self.datagrams.recv().await
    }

    /// Sends one.
    pub fn send(&self, to: SocketAddr, bytes: &[u8]) {
        self.port.send(to, bytes);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut calls = self.port.lock();
        calls.by_name.remove(&self.name);
        calls.by_address.retain(|_, name| *name != self.name);
    }
}

impl Calls {
    /// Hands a datagram to its call; one of no call is forgotten.
    fn hand(&mut self, source: SocketAddr, bytes: &[u8]) {
        if let Some(name) = wanted(bytes)
            && self.by_name.contains_key(name)
            && self.by_address.get(&source).is_none_or(|known| known != name)
            && self.by_address.values().filter(|known| *known == name).count() < ADDRESSES
        {
            self.by_address.insert(source, name.to_owned());
        }
        let sender = self.by_address.get(&source).and_then(|name| self.by_name.get(name));
        if let Some(sender) = sender {
            // One too many is lost.
            let _ = sender.try_send(Datagram { source, bytes: bytes.to_vec() });
        }
    }
}

/// Takes datagrams until the port is gone.
fn receive(socket: &UdpSocket, port: &Weak<Port>) {
    let mut buffer = [0; LARGEST];
    loop {
        let received = socket.recv_from(&mut buffer);
        let Some(port) = port.upgrade() else { return };
        match received {
            Ok((length, source)) => port.lock().hand(source, &buffer[..length]),
            // Nothing came, or what was sent before found nobody.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Whom a binding request wants: the first part of its attribute USERNAME.
fn wanted(bytes: &[u8]) -> Option<&str> {
    let (header, mut rest) = bytes.split_at_checked(20)?;
    if header[..2] != [0, 1] || header[4..8] != [0x21, 0x12, 0xa4, 0x42] {
        return None;
    }
    loop {
        let (head, after) = rest.split_at_checked(4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if head[..2] == [0, 6] {
            return std::str::from_utf8(after.get(..length)?).ok()?.split(':').next();
        }
        rest = after.get(length.next_multiple_of(4)..)?;
    }
}

/// The address of a request's host, where it is named by its number.
fn named(host: &str) -> Option<IpAddr> {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => host.split(':').next()?,
    };
    if name == "localhost" {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    name.parse().ok()
}

/// This computer's address on the way out; nothing is sent to learn it.
fn way_out() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address that is kept for documentation (RFC 5737).
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let found = socket.local_addr().ok()?.ip();
    (!found.is_unspecified() && found != Ipv6Addr::UNSPECIFIED).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(username: &str) -> Vec<u8> {
        let mut value = username.as_bytes().to_vec();
        let length = value.len() as u16;
        value.resize(value.len().next_multiple_of(4), 0);
        let mut bytes = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
        // Another attribute stands before it.
        bytes.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c', 0, 0, 6]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(value);
        bytes
    }

    #[test]
    fn a_request_names_its_call_and_what_is_none_names_nobody() {
        assert_eq!(wanted(&request("abcd:efgh")), Some("abcd"));
        let whole = request("abcd:efgh");
        for length in 0..whole.len() {
            // No part of it is a name, and none is a panic.
            assert!(wanted(&whole[..length]).is_none_or(|name| name == "abcd"));
        }
        assert_eq!(wanted(&[0x80; 60]), None);
    }

    #[tokio::test]
    async fn datagrams_find_their_call_by_name_and_then_by_their_address() {
        let port = Port::open("127.0.0.1:0".parse().expect("an address"), None).expect("a port");
        let (mut one, mut two) = (port.call("one".into()), port.call("two".into()));
        let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let source = client.local_addr().expect("an address");
        for bytes in [&b"nobody's"[..], &request("three:x"), &request("two:x"), b"after it"] {
            client.send_to(bytes, port.local()).expect("sent");
        }
        for wanted in [request("two:x"), b"after it".to_vec()] {
            assert_eq!(two.next().await, Some(Datagram { source, bytes: wanted }));
        }
        assert!(one.datagrams.try_recv().is_err());
        // With the call its name and its addresses are forgotten.
        drop(two);
        assert!(port.lock().by_address.is_empty() && port.lock().by_name.len() == 1);
        one.send(source, b"down");
        let mut buffer = [0; 8];
        assert_eq!(client.recv(&mut buffer).expect("received"), 4);
    }

    #[test]
    fn no_call_comes_from_addresses_without_number() {
        let mut calls = Calls::default();
        let (sender, _receiver) = channel(1);
        calls.by_name.insert("one".into(), sender);
        for port in 1..100 {
            calls.hand(SocketAddr::from(([127, 0, 0, 1], port)), &request("one:x"));
        }
        assert_eq!(calls.by_address.len(), ADDRESSES);
    }

    #[test]
    fn the_other_end_is_told_an_address_that_it_can_reach() {
        let public: IpAddr = "203.0.113.5".parse().expect("an address");
        let open = |ip: &str, public| {
            Port::open(SocketAddr::new(ip.parse().expect("an address"), 0), public).expect("a port")
        };
        assert_eq!(open("127.0.0.1", Some(public)).address(None).ip(), public);
        assert_eq!(open("127.0.0.1", None).address(Some("10.0.0.7:8000")).ip().to_string(), "127.0.0.1");
        let all = open("0.0.0.0", None);
        assert_eq!(all.address(Some("10.0.0.7:8000")).ip().to_string(), "10.0.0.7");
        assert_eq!(all.address(Some("localhost:8000")).ip().to_string(), "127.0.0.1");
        assert_eq!(named("[::1]:80"), Some(Ipv6Addr::LOCALHOST.into()));
        assert!(!all.address(Some("example.com")).ip().is_unspecified());
    }
}
