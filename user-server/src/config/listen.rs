//! Hints about an address that cannot be listened on.

use std::io::ErrorKind;
use std::net::SocketAddr;

/// Returns a hint by the reason for which the address that `variable` sets cannot be listened on.
#[must_use]
pub fn listen_hint(variable: &str, address: SocketAddr, error: &std::io::Error) -> String {
    let monitor = variable == "METRICS_ADDR";
    match error.kind() {
        ErrorKind::PermissionDenied if address.port() < 1024 => format!(
            "A port below 1024 needs the privilege CAP_NET_BIND_SERVICE, which this process does \
             not have. Use a port of 1024 or higher in {variable}, or grant it with \
             AmbientCapabilities=CAP_NET_BIND_SERVICE of systemd ({variable} has port {}).",
            address.port()
        ),
        ErrorKind::AddrInUse if monitor => "Another process listens there. Stop it, or choose \
             another port with METRICS_ADDR, or unset it."
            .to_owned(),
        ErrorKind::AddrInUse => {
            "Another process listens there, perhaps a user-server. Stop it, or \
             choose another port with TCP_PORT, or 0 for any free port."
                .to_owned()
        }
        ErrorKind::AddrNotAvailable if monitor => {
            "Set METRICS_ADDR to an address of this machine.".to_owned()
        }
        ErrorKind::AddrNotAvailable => "Set LISTEN_ADDR to an address of this machine.".to_owned(),
        _ if monitor => "Set METRICS_ADDR to a free address, or unset it.".to_owned(),
        _ => "Set TCP_PORT to a free port, or to 0 for any free port.".to_owned(),
    }
}

/// Reports whether two listeners need the same port of an address. Port 0 is any free port.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (any || one.ip() == other.ip())
}
