// Who really calls. The socket's address, unless it is one of the configured proxies: then the configured header, read
// from the right, past every further proxy (Dex web.clientRemoteIP). Headers from anybody else are ignored.
import { BlockList, isIP } from 'node:net'

export type ClientAddressConfig = { readonly header: string; readonly trustedProxies: readonly string[] }
export type ClientAddressOf = (socketAddress: string, header: (name: string) => string | undefined) => string

/** `trustedProxies`: CIDRs or single addresses. Throws on one that is neither. */
export function createClientAddress(config: ClientAddressConfig | undefined): ClientAddressOf {
  if (config === undefined) return (socketAddress) => plainAddress(socketAddress)
  const isProxy = createNetworkCheck(config.trustedProxies)
  const name = config.header.toLowerCase()
  return (socketAddress, header) => {
    const socket = plainAddress(socketAddress)
    if (!isProxy(socket)) return socket
    const hops = (header(name) ?? '').split(',').map((hop) => plainAddress(hop.trim()))
    for (const hop of hops.reverse()) {
      if (isIP(hop) === 0) return socket
      if (!isProxy(hop)) return hop
    }
    return socket
  }
}

/**
 * Whether an address is in one of the networks: CIDRs or single addresses. IPv4 that came over an IPv6 socket (`::ffff:10.0.0.1`) is
 * IPv4; what is no address is in none. Throws on a network that is none.
 */
export function createNetworkCheck(networks: readonly string[]): (address: string) => boolean {
  const list = blockList(networks)
  return (address) => contains(list, plainAddress(address))
}

/**
 * Who counts as one caller: an IPv4 address, or the /64 in which every IPv6 host has more addresses than any table.
 * `address` as `ClientAddressOf` gives it; whatever is no IPv6 address stays as it is.
 */
export function callerNetwork(address: string): string {
  if (!address.includes(':') || isIP(address) !== 6) return address
  const [head = '', tail] = address.split('::')
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0')
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`
}

/** In one spelling; the last 32 bits may be written as IPv4. */
function groupsOf(part: string): readonly string[] {
  if (part === '') return []
  return part
    .split(':')
    .flatMap((group) => (group.includes('.') ? ['0', '0'] : [Number.parseInt(group, 16).toString(16)]))
}

/**
 * Without what an IPv6 socket puts before an IPv4 address, and without a zone: `fe80::1%eth0` names an interface of this host, and
 * behind the `%` anything may stand.
 */
export function plainAddress(address: string): string {
  const zone = address.indexOf('%')
  const whole = zone === -1 ? address : address.slice(0, zone)
  return /^::ffff:/i.test(whole) && isIP(whole.slice(7)) === 4 ? whole.slice(7) : whole
}

function contains(list: BlockList, address: string): boolean {
  const version = isIP(address)
  return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4')
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const version = isIP(address)
    if (version === 0) throw new RangeError(`${network} is not an address or network`)
    const family = version === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return list
}
