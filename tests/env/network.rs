//! Hosts and ports of 127.0.0.0/8 for one run.
//!
//! Every run uses its own block 127.a.b.0/24, derived from its process id. So runs that share a
//! machine do not meet, and a port that was written down stays free for a broker that comes back:
//! the kernel gives outgoing connections the address 127.0.0.1, never one of this block.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};

/// A host that no other caller in this run was given (after 254 hosts they come again).
pub fn fresh_host() -> Ipv4Addr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    host(std::process::id(), GIVEN.fetch_add(1, Ordering::Relaxed))
}

/// The `index`-th host of the block that belongs to process `pid`. Never 127.0.x.y, where other
/// programs live, and never a block's first or last address.
fn host(pid: u32, index: u32) -> Ipv4Addr {
    let block = 1 + pid % 254;
    let [.., part] = (pid / 254).to_be_bytes();
    let octet = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, octet(block), part, octet(1 + index % 254))
}

/// Ports of `host` that are free now, chosen by the kernel, all different.
///
/// They are not held: whoever needs them binds them soon. Only this run uses `host`, so nobody
/// else takes them in between.
///
/// # Errors
/// When the host cannot be bound.
pub fn free_ports<const N: usize>(host: Ipv4Addr) -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let (listener, address) = listen(host)?;
        *port = address.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Listens on a port of `host` that the kernel chooses.
///
/// # Errors
/// When the host cannot be bound.
pub fn listen(host: Ipv4Addr) -> Result<(TcpListener, SocketAddr)> {
    let listener =
        TcpListener::bind((host, 0)).with_context(|| format!("listen on {host}, any port"))?;
    let address = listener.local_addr().context("read the port chosen")?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn hosts_stay_in_127_and_out_of_its_busy_corners() {
        for pid in [0, 1, 253, 254, 65_535, 4_194_304, u32::MAX] {
            for index in [0, 253, 254, 1_000] {
                let [first, second, _, last] = host(pid, index).octets();
                assert_eq!(first, 127);
                assert!((1..=254).contains(&second) && (1..=254).contains(&last));
            }
        }
    }

    #[test]
    fn neighbouring_processes_have_different_blocks() {
        let hosts: BTreeSet<_> = (1_000..11_000).map(|pid| host(pid, 0)).collect();
        assert_eq!(hosts.len(), 10_000);
    }

    #[test]
    fn free_ports_are_all_different_and_can_be_bound() {
        let host = fresh_host();
        let ports: [u16; 20] = free_ports(host).unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 20);
        for port in ports {
            TcpListener::bind((host, port)).unwrap();
        }
    }
}
