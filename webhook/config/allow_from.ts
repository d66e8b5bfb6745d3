// A network that is let in to the review port has to say one thing: what it names by mistake is let in as well.
import { isIP } from 'node:net'
import type { WebhookCode } from './finding_codes.ts'

type NetworkProblem = { readonly code: WebhookCode; readonly message: string; readonly wayOut: string }

const WIDTH = { 4: 32, 6: 128 } as const
/** Where IPv4 lies within IPv6: ::ffff:0:0/96 (RFC 4291 §2.5.5.2). */
const MAPPED = 0xffff_0000_0000n
const V4_BITS = 32n

/** Of a CIDR or an address, as the schema lets one pass. */
export function networkProblem(text: string): NetworkProblem | undefined {
  const [address = '', length] = text.split('/')
  const family = isIP(address) === 4 ? 4 : 6
  const width = WIDTH[family]
  const prefix = Number(length ?? width)
  const shown = JSON.stringify(text)
  const bits = family === 4 ? bitsOfV4(address) : bitsOfV6(address)
  const hostBits = BigInt(width - prefix)
  const isAllV4 = family === 6 && prefix <= 96 && MAPPED >> hostBits === bits >> hostBits
  if (prefix === 0 || isAllV4) {
    return {
      code: 'allow_from_everybody',
      message: `${shown} has every ${family === 6 && prefix === 0 ? '' : 'IPv4 '}address in it, and keeps nobody away`,
      wayOut:
        'write the networks that the API servers come from, or leave allowFrom out, and the log says that the port is open',
    }
  }
  if (family === 6 && bits >> V4_BITS === MAPPED >> V4_BITS) {
    const v4 = textOfV4(bits & 0xffff_ffffn)
    return {
      code: 'allow_from_ambiguous',
      message: `${shown} is IPv4 in the spelling of IPv6`,
      wayOut: `write ${prefix < width ? `${v4}/${prefix - 96}` : v4}: an IPv4 address is let in however it comes`,
    }
  }
  const network = (bits >> hostBits) << hostBits
  if (network === bits) return undefined
  const whole = family === 4 ? textOfV4(network) : textOfV6(network)
  return {
    code: 'allow_from_ambiguous',
    message: `${shown} names an address, and a network of ${prefix} bits around it`,
    wayOut: `write ${whole}/${prefix} for the network, ${address} for the address alone`,
  }
}

function bitsOfV4(address: string): bigint {
  return address.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n)
}

function textOfV4(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((bits >> shift) & 0xffn)).join('.')
}

function bitsOfV6(address: string): bigint {
  const [head = '', tail] = address.split('::')
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0n)
  return [...before, ...zeros, ...after].reduce((bits, group) => (bits << 16n) | group, 0n)
}

/** The last 32 bits may be written as IPv4. */
function groupsOf(part: string): readonly bigint[] {
  if (part === '') return []
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)]
    const v4 = bitsOfV4(group)
    return [v4 >> 16n, v4 & 0xffffn]
  })
}

/** In the spelling of RFC 5952, which a URL has. */
function textOfV6(bits: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => (bits >> BigInt(112 - index * 16)) & 0xffffn)
  const { hostname } = new URL(`http://[${groups.map((group) => group.toString(16)).join(':')}]`)
  return hostname.slice(1, -1)
}
