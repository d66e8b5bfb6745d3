// Makes a CA and the server certificates under it, ECDSA P-256. Imported only when one has to be made: the library costs more to
// load than the rest of a start. Each CA is bound to the names it was made for (RFC 5280 §4.2.1.10): whoever trusts it trusts
// nobody else's site.
import 'reflect-metadata'
import { KeyObject, createPrivateKey, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

export type Authority = {
  readonly certificate: x509.X509Certificate
  readonly key: webcrypto.CryptoKey
  readonly certPem: string
  readonly keyPem: string
  readonly startsAt: number
  readonly expiresAt: number
}

/** What to make: a common name, DNS names and addresses, and from when to when (milliseconds since the epoch). */
export type CertificateOrder = {
  readonly name: string
  readonly hosts: readonly string[]
  readonly startsAt: number
  readonly expiresAt: number
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const nameConstraintsOid = '2.5.29.30'

/** The kept CA when it is whole and was made for these names; `undefined` otherwise. */
export async function loadAuthority(
  certPem: string | undefined,
  keyPem: string | undefined,
  hosts: readonly string[],
): Promise<Authority | undefined> {
  if (certPem === undefined || keyPem === undefined) return undefined
  try {
    const certificate = new x509.X509Certificate(certPem)
    const constraints = certificate.getExtension(nameConstraintsOid)
    if (constraints === null || !Buffer.from(constraints.value).equals(nameConstraints(hosts)))
      return undefined
    const key = createPrivateKey(keyPem).toCryptoKey(algorithm, true, ['sign'])
    const own = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'pem' })
    if (!(await belongs(certificate, key))) return undefined
    return authorityOf(certificate, key, String(own))
  } catch {
    // Truncated or foreign: a new one is made, and the caller says so.
    return undefined
  }
}

/** A CA of its own for these names alone. */
export async function createAuthority(order: CertificateOrder): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [order.name] }],
    notBefore: new Date(order.startsAt),
    notAfter: new Date(order.expiresAt),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.Extension(nameConstraintsOid, true, nameConstraints(order.hosts)),
    ],
  })
  return authorityOf(certificate, keys.privateKey, pemOf(keys.privateKey))
}

/** A server certificate with a key of its own, never longer than its CA. */
export async function signCertificate(
  authority: Authority,
  order: CertificateOrder,
): Promise<{ readonly certPem: string; readonly keyPem: string }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ CN: [order.name] }],
    issuer: authority.certificate.subject,
    notBefore: new Date(Math.max(order.startsAt, authority.startsAt)),
    notAfter: new Date(Math.min(order.expiresAt, authority.expiresAt)),
    signingAlgorithm: algorithm,
    signingKey: authority.key,
    publicKey: keys.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(order.hosts.map((host) => generalName(host))),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  })
  return { certPem: `${certificate.toString('pem')}\n`, keyPem: pemOf(keys.privateKey) }
}

function authorityOf(certificate: x509.X509Certificate, key: webcrypto.CryptoKey, keyPem: string): Authority {
  return {
    certificate,
    key,
    certPem: `${certificate.toString('pem')}\n`,
    keyPem,
    startsAt: certificate.notBefore.getTime(),
    expiresAt: certificate.notAfter.getTime(),
  }
}

async function belongs(certificate: x509.X509Certificate, key: webcrypto.CryptoKey): Promise<boolean> {
  const probe = Buffer.from('sallyport certificate authority')
  const signature = await webcrypto.subtle.sign(algorithm, key, probe)
  const publicKey = await certificate.publicKey.export(algorithm, ['verify'])
  return webcrypto.subtle.verify(algorithm, publicKey, signature, probe)
}

function pemOf(key: webcrypto.CryptoKey): string {
  return String(KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }))
}

function generalName(host: string): { type: 'dns' | 'ip'; value: string } {
  return { type: isIP(host) === 0 ? 'dns' : 'ip', value: host }
}

/** DER of NameConstraints with one permitted subtree a host; an address is followed by a mask of ones. */
function nameConstraints(hosts: readonly string[]): Buffer {
  const subtrees = hosts.map((host) => {
    const { type, value } = generalName(host)
    if (type === 'dns') return der(0x30, der(0x82, Buffer.from(value, 'ascii')))
    const address = Buffer.from(new x509.GeneralName('ip', value).rawData).subarray(2)
    return der(0x30, der(0x87, Buffer.concat([address, Buffer.alloc(address.length, 0xff)])))
  })
  return der(0x30, der(0xa0, Buffer.concat(subtrees)))
}

/** One DER element; lengths up to 65535 are plenty for a list of host names. */
function der(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag, ...derLength(content.length)]), content])
}

function derLength(length: number): number[] {
  if (length < 128) return [length]
  if (length < 256) return [0x81, length]
  return [0x82, length >> 8, length & 0xff]
}
