// The certificates of a test cluster: one CA for servers and clients, EC P-256, and the key pair that signs service
// account tokens. Made in a few milliseconds, gone with the cluster's folder.
import 'reflect-metadata'
import { KeyObject, generateKeyPairSync, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

const day = 86_400_000
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export type KeyPairPem = { readonly certPem: string; readonly keyPem: string }

export type ClusterAuthority = {
  readonly caPem: string
  server(hosts: readonly string[]): Promise<KeyPairPem>
  /** kube-apiserver reads the user name from CN and the groups from O. */
  client(name: string, groups: readonly string[]): Promise<KeyPairPem>
}

/** A CA that lasts two days around `now` (milliseconds). */
export async function makeClusterAuthority(now: number = Date.now()): Promise<ClusterAuthority> {
  const validity = { notBefore: new Date(now - day), notAfter: new Date(now + day) }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Sallyport test cluster CA',
    ...validity,
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })

  async function issue(
    subject: x509.JsonName,
    usage: x509.ExtendedKeyUsageType,
    more: readonly x509.Extension[],
  ): Promise<KeyPairPem> {
    const own = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const issued = await x509.X509CertificateGenerator.create({
      subject,
      issuer: certificate.subject,
      ...validity,
      signingAlgorithm: algorithm,
      signingKey: keys.privateKey,
      publicKey: own.publicKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage]),
        ...more,
      ],
    })
    const keyPem = String(KeyObject.from(own.privateKey).export({ type: 'pkcs8', format: 'pem' }))
    return { certPem: `${issued.toString('pem')}\n`, keyPem }
  }

  return {
    caPem: `${certificate.toString('pem')}\n`,
    server(hosts) {
      const names = hosts.map((value) => ({
        type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
        value,
      }))
      const alternative = new x509.SubjectAlternativeNameExtension(names)
      return issue([{ CN: ['kube-apiserver'] }], x509.ExtendedKeyUsage.serverAuth, [alternative])
    },
    client(name, groups) {
      const organizations = groups.length === 0 ? [] : [{ O: [...groups] }]
      return issue([...organizations, { CN: [name] }], x509.ExtendedKeyUsage.clientAuth, [])
    },
  }
}

/** An EC P-256 pair in PEM for --service-account-signing-key-file and --service-account-key-file. */
export function makeServiceAccountKeys(): { readonly privatePem: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    privatePem: String(privateKey.export({ type: 'sec1', format: 'pem' })),
    publicPem: String(publicKey.export({ type: 'spki', format: 'pem' })),
  }
}
