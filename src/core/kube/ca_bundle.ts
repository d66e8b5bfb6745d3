// Reads the PEM of `certificateAuthority` as kube-apiserver does (client-go's cert.ParseCertsPEM over Go's encoding/pem):
// what is not a CERTIFICATE block, or has headers, is passed over; one block that is no certificate spoils all; one
// certificate at least must be there.
import { X509Certificate } from 'node:crypto'
import { certificateProblem } from './go_certificate.ts'

export type CaBundle =
  | {
      readonly ok: true
      /** Without those that Go reads and OpenSSL does not. */
      readonly certificates: readonly X509Certificate[]
      readonly otherBlocks: readonly string[]
    }
  | { readonly ok: false; readonly reason: string }

/** A bundle of all public CAs has 150 certificates. */
const MAX_CERTIFICATES = 1000

export function readCaBundle(pem: string): CaBundle {
  const certificates: X509Certificate[] = []
  const otherBlocks: string[] = []
  let count = 0
  for (const block of pemBlocks(pem)) {
    if (block.type !== 'CERTIFICATE' || block.hasHeaders) {
      otherBlocks.push(block.type)
      continue
    }
    count += 1
    if (count > MAX_CERTIFICATES) return { ok: false, reason: `more than ${MAX_CERTIFICATES} certificates` }
    const problem = certificateProblem(block.bytes)
    if (problem !== undefined) return { ok: false, reason: `in certificate ${count}, ${problem}` }
    certificates.push(...opened(block.bytes))
  }
  if (count === 0) return { ok: false, reason: 'no certificate stands in it' }
  return { ok: true, certificates, otherBlocks }
}

function opened(der: Buffer): readonly X509Certificate[] {
  try {
    return [new X509Certificate(der)]
  } catch {
    // the apiserver takes it, which is what was asked; there is nothing more to say of it
    return []
  }
}

type PemBlock = { readonly type: string; readonly hasHeaders: boolean; readonly bytes: Buffer }

const END = /\n-----END /g
const BEGIN = '-----BEGIN '

/** The blocks that Go finds: RFC 7468 with blanks, headers and text between blocks. */
function pemBlocks(pem: string): readonly PemBlock[] {
  const blocks: PemBlock[] = []
  let from = 0
  for (const end of pem.matchAll(END)) {
    if (end.index + 1 < from) continue
    const block = blockBefore(pem, from, end.index)
    if (block === undefined) continue
    blocks.push(block)
    from = end.index + 1
  }
  return blocks
}

/** The block whose END line begins after the line break at `end`; the last BEGIN before it counts. */
function blockBefore(pem: string, from: number, end: number): PemBlock | undefined {
  const begin = pem.slice(from, end + 1).lastIndexOf(BEGIN)
  if (begin === -1 || (from + begin > 0 && pem[from + begin - 1] !== '\n')) return undefined
  const lines = pem.slice(from + begin + BEGIN.length, end + 1).split('\n')
  const type = /^(.*)-----$/s.exec(trimLine(lines[0] ?? ''))?.[1]
  if (type === undefined || lines.length < 2) return undefined
  const endLine = trimLine(pem.slice(end + '\n-----END '.length).split('\n', 1)[0] ?? '')
  if (endLine !== `${type}-----`) return undefined
  const body = lines.slice(1)
  const headers = body.findIndex((line) => !line.includes(':'))
  const bytes = decodeBase64(body.slice(headers === -1 ? body.length : headers).join(''))
  return bytes === undefined ? undefined : { type, hasHeaders: headers !== 0, bytes }
}

function trimLine(line: string): string {
  return line.replace(/\r$/, '').replace(/[ \t]+$/, '')
}

/** Go's base64.StdEncoding: padded, nothing but the alphabet and line breaks; blanks were taken out before. */
function decodeBase64(text: string): Buffer | undefined {
  const plain = text.replaceAll(/[ \t\r\n]/g, '')
  if (plain.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(plain)) return undefined
  return Buffer.from(plain, 'base64')
}
