//! The header of the PROXY protocol, versions 1 and 2, with which a proxy states the address of its
//! client at the beginning of a connection.
//! <https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt>

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Maximum size of a header of version 1 in bytes, including its line break.
const MAX_V1: usize = 107;
/// Maximum size of the addresses and extensions of version 2 in bytes.
const MAX_V2: usize = 2048;

/// Reads the header of the PROXY protocol, and nothing after it. Returns the address that it
/// states, or `None` if the proxy speaks for itself, as in a health check.
///
/// # Errors
/// If the connection does not begin with a valid header.
pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<IpAddr>, Error> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE { read_v2(stream).await } else { read_v1(stream, &start).await }
}

/// Reads the rest of a header line of version 1, such as `PROXY TCP4 192.0.2.1 192.0.2.2 4711 80`.
async fn read_v1<S: AsyncRead + Unpin>(
    stream: &mut S,
    start: &[u8],
) -> Result<Option<IpAddr>, Error> {
    if !start.starts_with(b"PROXY ") {
        return Err(invalid("no header of the PROXY protocol"));
    }
    let mut line = start.to_vec();
    // The bytes after the line belong to HTTP, so the end of the line must not be passed.
    while !line.ends_with(b"\r\n") {
        if line.len() >= MAX_V1 {
            return Err(invalid("the header of the PROXY protocol is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_| invalid("the header is not ASCII"))?;
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let address = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", "TCP4", source, _, _, _] => source.parse().map(IpAddr::V4).ok(),
        ["PROXY", "TCP6", source, _, _, _] => source.parse().map(IpAddr::V6).ok(),
        _ => None,
    };
    address.map(Some).ok_or_else(|| invalid("the header states no address"))
}

async fn read_v2<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<IpAddr>, Error> {
    let (version, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_V2 {
        return Err(invalid("the header of the PROXY protocol is too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    let address = match (version, family) {
        // LOCAL: a health check of the proxy itself.
        (0x20, _) => return Ok(None),
        // PROXY, with TCP over IPv4 or IPv6: source, destination, two ports.
        (0x21, 0x11) if length >= 12 => {
            rest.first_chunk().map(|ip: &[u8; 4]| Ipv4Addr::from(*ip).into())
        }
        (0x21, 0x21) if length >= 36 => {
            rest.first_chunk().map(|ip: &[u8; 16]| Ipv6Addr::from(*ip).into())
        }
        _ => None,
    };
    address.map(Some).ok_or_else(|| invalid("the header states no address"))
}

fn invalid(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parse(bytes: &[u8]) -> (Result<Option<IpAddr>, ErrorKind>, usize) {
        let mut rest = bytes;
        let result = read(&mut rest).await.map_err(|error| error.kind());
        (result, rest.len())
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    #[tokio::test]
    async fn both_versions_state_the_address_of_the_source() {
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let v6_bytes: [u8; 16] = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets();
        let tail = b"GET /";
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n".to_vec(), Some(ip)),
            (b"PROXY TCP6 2001:db8::1 ::1 4711 80\r\n".to_vec(), Some(v6)),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (v2(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 1, 2, 0, 80]), Some(ip)),
            (v2(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 1, 2, 0, 80, 4, 0, 1, 9]), Some(ip)),
            (v2(0x21, 0x21, &[&v6_bytes[..], &[0; 20]].concat()), Some(v6)),
            (v2(0x20, 0x00, b""), None),
        ] {
            let bytes = [&header[..], tail].concat();
            assert_eq!(parse(&bytes).await, (Ok(expected), tail.len()), "{header:?}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_an_error() {
        for header in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n".to_vec(),
            b"PROXY TCP4 \xff 192.0.2.2 1 2\r\n".to_vec(),
            [&b"PROXY "[..], &[b'x'; 200]].concat(),
            v2(0x21, 0x11, &[192, 0, 2, 1]),
            v2(0x21, 0x31, &[0; 216]),
            v2(0x31, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 4096]),
        ] {
            assert_eq!(parse(&header).await.0, Err(ErrorKind::InvalidData), "{header:?}");
        }
        for cut in [b"PROXY TCP4 192".to_vec(), SIGNATURE[..11].to_vec(), v2(0x21, 0x11, b"")] {
            let cut = &cut[..cut.len().min(15)];
            assert!(parse(cut).await.0.is_err(), "{cut:?}");
        }
    }
}
