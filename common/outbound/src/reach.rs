//! Which addresses a call may reach.
//!
//! Whoever may write a block chooses where the server calls, so the server must not lend them its own place in the
//! network. Three kinds of addresses are told apart: public ones, those of a private network, and the machine itself.
//! Others are reached by nobody, whatever is allowed: what hands out credentials of the machine, groups, and
//! addresses that hide another one. An IPv6 address that carries an IPv4 address is judged by that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far calls may reach; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Addresses of the public network alone.
    Public,
    /// Also private, shared and documentation ranges: other machines of the same network.
    Private,
    /// Also the machine itself. On Lambda, the runtime's own API listens there.
    Loopback,
}

impl Reach {
    /// Says whether this address may be reached.
    pub fn includes(self, address: IpAddr) -> bool {
        needed(address).is_some_and(|needed| needed <= self)
    }
}

type Range<Address> = (Address, u32);

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u32) -> Range<Ipv4Addr> {
    (Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(segments: [u16; 8], bits: u32) -> Range<Ipv6Addr> {
    let s = segments;
    (Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), bits)
}

/// What is never reached.
const NEVER_V4: [Range<Ipv4Addr>; 6] = [
    v4(0, 0, 0, 0, 8),
    // Link-local: the metadata of a machine, the credentials of a container.
    v4(169, 254, 0, 0, 16),
    // Metadata of other clouds, in ranges that are reachable otherwise: Azure, Alibaba.
    v4(168, 63, 129, 16, 32),
    v4(100, 100, 100, 200, 32),
    // Groups, and what is reserved, with the broadcast address.
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// What is reached only where private networks are.
const PRIVATE_V4: [Range<Ipv4Addr>; 10] = [
    v4(10, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    // Shared by the customers of a carrier.
    v4(100, 64, 0, 0, 10),
    // Protocols, documentation, benchmarks, relays: nothing public is there.
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
];

const LOOPBACK_V4: Range<Ipv4Addr> = v4(127, 0, 0, 0, 8);

const NEVER_V6: [Range<Ipv6Addr>; 8] = [
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    // The metadata, name and time services of AWS.
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    // What is discarded.
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64),
    // Addresses that hide an IPv4 address which can't be told for sure: Teredo, translators of a network.
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
    v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96),
];

const PRIVATE_V6: [Range<Ipv6Addr>; 6] = [
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16),
];

/// Ranges whose last 32 bits are an IPv4 address: mapped, compatible, translated.
const CARRIES_V4: [Range<Ipv6Addr>; 3] =
    [v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), v6([0, 0, 0, 0, 0, 0, 0, 0], 96), v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96)];

/// The range whose bits after the prefix are the IPv4 address of a relay.
const SIX_TO_FOUR: Range<Ipv6Addr> = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);

/// Returns the smallest reach that includes this address; nothing if none does.
fn needed(address: IpAddr) -> Option<Reach> {
    match address {
        IpAddr::V4(address) => needed_v4(address),
        IpAddr::V6(address) => needed_v6(address),
    }
}

fn needed_v4(address: Ipv4Addr) -> Option<Reach> {
    let is_in =
        |range: &Range<Ipv4Addr>| shares_prefix(address.to_bits().into(), range.0.to_bits().into(), 32, range.1);
    if NEVER_V4.iter().any(is_in) {
        None
    } else if is_in(&LOOPBACK_V4) {
        Some(Reach::Loopback)
    } else if PRIVATE_V4.iter().any(is_in) {
        Some(Reach::Private)
    } else {
        Some(Reach::Public)
    }
}

fn needed_v6(address: Ipv6Addr) -> Option<Reach> {
    let is_in = |range: &Range<Ipv6Addr>| shares_prefix(address.to_bits(), range.0.to_bits(), 128, range.1);
    if NEVER_V6.iter().any(is_in) {
        return None;
    }
    if address == Ipv6Addr::LOCALHOST {
        return Some(Reach::Loopback);
    }
    let [_, high, low, .., before_last, last] = address.segments();
    let joined = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    if CARRIES_V4.iter().any(is_in) {
        return needed_v4(joined(before_last, last));
    }
    if is_in(&SIX_TO_FOUR) {
        return needed_v4(joined(high, low));
    }
    Some(if PRIVATE_V6.iter().any(is_in) { Reach::Private } else { Reach::Public })
}

/// Says whether two addresses of this width have the same first bits.
fn shares_prefix(one: u128, other: u128, width: u32, bits: u32) -> bool {
    (one ^ other).checked_shr(width - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(addresses: &str, expected: Option<Reach>) {
        for address in addresses.split_whitespace() {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(needed(parsed), expected, "{address}");
        }
    }

    #[test]
    fn public_addresses_are_reached_by_all() {
        all("1.1.1.1 8.8.8.8 93.184.215.14 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0", Some(Reach::Public));
        all("11.0.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 192.0.1.0", Some(Reach::Public));
        all("192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255", Some(Reach::Public));
        all("2606:4700::1111 2a00:1450:4001::1 2001:4860:4860::8888 2003::1", Some(Reach::Public));
        all("::ffff:1.1.1.1 64:ff9b::8.8.8.8 2002:0808:0808::1 ::8.8.8.8", Some(Reach::Public));
    }

    #[test]
    fn private_ranges_need_to_be_allowed() {
        all("10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.1", Some(Reach::Private));
        all("100.64.0.0 100.127.255.255 192.0.0.192 192.0.2.1 198.18.0.1 198.19.255.255", Some(Reach::Private));
        all("198.51.100.7 203.0.113.7 192.88.99.1", Some(Reach::Private));
        all("fc00::1 fd00::1 fdff:ffff::1 fec0::1 2001:db8::1 2001:10::1 3fff::1 5f00::1", Some(Reach::Private));
        all("::ffff:10.0.0.1 ::ffff:c0a8:1 64:ff9b::10.0.0.1 2002:0a00:0001::1 ::192.168.0.1", Some(Reach::Private));
    }

    #[test]
    fn the_machine_itself_needs_more_than_that() {
        all("127.0.0.1 127.1.2.3 127.255.255.255 ::1", Some(Reach::Loopback));
        all("::ffff:127.0.0.1 ::ffff:7f00:1 64:ff9b::127.0.0.1 2002:7f00:0001::1 ::127.0.0.1", Some(Reach::Loopback));
    }

    #[test]
    fn what_gives_credentials_away_is_reached_by_nobody() {
        all("169.254.169.254 169.254.170.2 169.254.170.23 169.254.0.0 169.254.255.255", None);
        all("168.63.129.16 100.100.100.200 fd00:ec2::254 fd00:ec2::23 fd00:ec2:0:1::1", None);
        all("::ffff:169.254.169.254 ::ffff:a9fe:a9fe 64:ff9b::169.254.169.254 2002:a9fe:a9fe::1", None);
        all("::169.254.169.254 ::ffff:0:169.254.169.254 64:ff9b:1::169.254.169.254 2001:0:a9fe:a9fe::1", None);
    }

    #[test]
    fn what_is_no_single_machine_is_reached_by_nobody() {
        all("0.0.0.0 0.1.2.3 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255", None);
        all(":: ff02::1 fe80::1 febf::1 100::1 ::ffff:0.0.0.0 ::ffff:224.0.0.1", None);
    }

    #[test]
    fn each_reach_includes_those_before_it() {
        let addresses: [IpAddr; 3] = [[1, 1, 1, 1].into(), [10, 0, 0, 1].into(), [127, 0, 0, 1].into()];
        let included = |reach: Reach| addresses.map(|address| reach.includes(address));
        assert_eq!(included(Reach::Public), [true, false, false]);
        assert_eq!(included(Reach::Private), [true, true, false]);
        assert_eq!(included(Reach::Loopback), [true, true, true]);
    }
}
