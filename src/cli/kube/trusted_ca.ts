// The CA that an apiserver needs to reach an issuer: a file that the operator names, or the development CA that the first
// start has made beside the broker's certificate.
import type { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TrustedCa } from '#core/kube/auth_config_plan.ts'
import { readCaBundle } from '#core/kube/ca_bundle.ts'
import type { BrokerConfig } from '../../broker/config/broker_config.ts'
import type { CommandIo } from '../command.ts'
import { readInput } from '../secret_input.ts'
import type { Complaint } from './kube_audience.ts'

/** A bundle of all public CAs is half of that. */
const MAX_CA_BYTES = 512 * 1024

/** The certificates of a PEM file, and nothing else that lies in it. Throws InputFailure when it cannot be read. */
export async function readTrustedCa(
  file: string,
  io: Pick<CommandIo, 'stdin' | 'cwd'>,
): Promise<TrustedCa | Complaint> {
  const bundle = readCaBundle(await readInput(file, io, MAX_CA_BYTES))
  if (bundle.ok) return trusted(bundle.certificates)
  return {
    message: `${file} is no CA: ${bundle.reason}`,
    wayOut: 'name a PEM file that begins with -----BEGIN CERTIFICATE-----',
  }
}

/** The development CA, if it has signed the certificate that the broker serves. */
export function developmentCa(config: BrokerConfig): TrustedCa | undefined {
  for (const { tls } of config.publicListeners) {
    const caFile = tls && join(dirname(tls.certFile), 'ca.crt')
    if (tls === undefined || caFile === undefined || !existsSync(caFile) || !existsSync(tls.certFile))
      continue
    const ca = readCaBundle(readFileSync(caFile, 'utf8'))
    const leaf = readCaBundle(readFileSync(tls.certFile, 'utf8'))
    const [authority] = ca.ok ? ca.certificates : []
    const [served] = leaf.ok ? leaf.certificates : []
    if (authority !== undefined && served?.verify(authority.publicKey) === true) return trusted([authority])
  }
  return undefined
}

function trusted(certificates: readonly X509Certificate[]): TrustedCa {
  const names = certificates.map((certificate) => {
    const until = certificate.validToDate.toISOString().slice(0, 10)
    return `${certificate.subject.replaceAll('\n', ', ')}, good until ${until}`
  })
  return {
    pem: certificates.map((certificate) => certificate.toString().trimEnd()).join('\n'),
    describes: `${names.join('; ')}.`,
  }
}
