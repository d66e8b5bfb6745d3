// What the Secret holds, as a value and back: the generation that is served, the one that will be, the CA before. Whatever does
// not fit is told and counts as absent.
import { X509Certificate } from 'node:crypto'
import type { Announced, KeptCertificates } from '#core/certificate_plan.ts'
import { readGeneration } from './generation.ts'
import type { PemGeneration } from './generation.ts'

export type SecretData = Readonly<Record<string, string>>

export type StoredCertificates = KeptCertificates<PemGeneration> & {
  /** PEM of the CA that was replaced last. */
  readonly previousCa: string | undefined
}

/** What we write has 7 kB at the most; an apiserver takes Secrets of 1 MiB. */
const maxSecretLength = 65_536

export const noCertificates: StoredCertificates = {
  current: undefined,
  next: undefined,
  previousUntil: undefined,
  previousCa: undefined,
}

/** `problems`: what is there and cannot be used, without its content. An empty Secret has none. */
export function readStored(
  data: SecretData,
  hosts: readonly string[],
): { readonly stored: StoredCertificates; readonly problems: readonly string[] } {
  const length = Object.values(data).reduce((sum, text) => sum + text.length, 0)
  if (length > maxSecretLength)
    return { stored: noCertificates, problems: [`it is longer than ${maxSecretLength} bytes`] }
  const problems: string[] = []
  const generationAt = (names: readonly [string, string, string]): PemGeneration | undefined => {
    const [ca = '', cert = '', key = ''] = names.map((name) => data[name] ?? '')
    if (ca === '' && cert === '' && key === '') return undefined
    const read = readGeneration({ ca, cert, key }, hosts)
    if (typeof read !== 'string') return read
    problems.push(`${names[1]}: ${read}`)
    return undefined
  }
  const current = generationAt(['ca.crt', 'tls.crt', 'tls.key'])
  const next = announced(generationAt(['next-ca.crt', 'next.crt', 'next.key']), data)
  const previousUntil = secondsOf(data['previous-until'])
  const previousCa = isCertificate(data['previous-ca.crt']) ? data['previous-ca.crt'] : undefined
  const hasPrevious = previousUntil !== undefined && previousCa !== undefined
  return {
    stored: {
      current,
      next,
      ...(hasPrevious ? { previousUntil, previousCa } : { previousUntil: undefined, previousCa: undefined }),
    },
    problems,
  }
}

export function secretDataOf({ current, next, previousUntil, previousCa }: StoredCertificates): SecretData {
  return {
    'tls.crt': current?.cert ?? '',
    'tls.key': current?.key ?? '',
    'ca.crt': current?.ca ?? '',
    ...(next === undefined
      ? {}
      : {
          'next.crt': next.generation.cert,
          'next.key': next.generation.key,
          'next-ca.crt': next.generation.ca,
          'next-drop-current-at': String(next.dropCurrentAt),
          ...(next.trustedSince === undefined ? {} : { 'next-trusted-since': String(next.trustedSince) }),
        }),
    ...(previousUntil === undefined || previousCa === undefined
      ? {}
      : { 'previous-ca.crt': previousCa, 'previous-until': String(previousUntil) }),
  }
}

/** PEM of every CA that the apiserver has to trust now. */
export function bundleOf({ current, next, previousCa }: StoredCertificates): string {
  const authorities = [current?.ca, next?.generation.ca, previousCa].filter((ca) => ca !== undefined)
  return [...new Set(authorities.map((ca) => `${ca.trim()}\n`))].join('')
}

/** Whether a bundle, whoever wrote it, has this CA. */
export function bundleHas(bundle: string, ca: string): boolean {
  return bundle.includes(ca.trim())
}

function announced(
  generation: PemGeneration | undefined,
  data: SecretData,
): Announced<PemGeneration> | undefined {
  if (generation === undefined) return undefined
  return {
    generation,
    trustedSince: secondsOf(data['next-trusted-since']),
    // Unreadable: the longest that is safe.
    dropCurrentAt: secondsOf(data['next-drop-current-at']) ?? generation.endsAt,
  }
}

function secondsOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined
}

function isCertificate(pem: string | undefined): boolean {
  if (pem === undefined) return false
  try {
    return new X509Certificate(pem).ca
  } catch {
    // A CA that cannot be read would make the apiserver refuse the whole bundle.
    return false
  }
}
