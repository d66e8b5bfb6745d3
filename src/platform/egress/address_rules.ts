// Which network addresses an outgoing request may reach. Fails closed: an IPv6 address that is not plainly global
// unicast is not. IANA special-purpose registries, RFC 6890; RFC 6052 for the NAT64 prefix.
import { BlockList, isIP } from 'node:net'

/** `public`: global addresses only. `private`: own networks and loopback, too. */
export type AddressReach = 'public' | 'private'

/** Never: unspecified, link-local (where clouds keep their metadata), multicast, reserved. */
const NEVER_V4 = ['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4']
/** Only where an operator named the host. */
const PRIVATE_V4 = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
]
/** Forms that carry another address inside them (6to4, Teredo), and documentation. */
const NOT_GLOBAL_V6 = ['2001::/32', '2001:db8::/32', '2002::/16', '3fff::/20']
/** An IPv6-only cluster reaches the IPv4 internet through it: judged by the address inside. */
const NAT64 = '64:ff9b::'

const never = blockList(NEVER_V4)
const local = blockList(PRIVATE_V4)
const globalV6 = blockList(['2000::/3', `${NAT64}/96`])
const notGlobalV6 = blockList([...NOT_GLOBAL_V6, ...[...NEVER_V4, ...PRIVATE_V4].map(throughNat64)])
const localV6 = blockList(['::1/128', 'fc00::/7'])

/** Whether `address` (an IP literal without brackets or zone) may be connected to. */
export function mayReach(address: string, reach: AddressReach): boolean {
  switch (isIP(address)) {
    case 4:
      return !never.check(address) && (reach === 'private' || !local.check(address))
    case 6:
      if (globalV6.check(address, 'ipv6') && !notGlobalV6.check(address, 'ipv6')) return true
      return reach === 'private' && localV6.check(address, 'ipv6')
    default:
      return false
  }
}

function blockList(subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [network = '', prefix = ''] = subnet.split('/')
    list.addSubnet(network, Number(prefix), network.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}

/** `10.0.0.0/8` to `64:ff9b::10.0.0.0/104`. */
function throughNat64(subnet: string): string {
  const [network = '', prefix = ''] = subnet.split('/')
  return `${NAT64}${network}/${Number(prefix) + 96}`
}
