// Where the webhook answers, as flags say it, and who it is to the cluster there.
import type { ServiceTarget } from '#core/module/generate/webhook_configuration.ts'
import type { Result } from '#core/result.ts'
import type { PlaceFlags } from './generate.ts'

const NAME = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?'
const SERVICE = new RegExp(
  `^(?<namespace>${NAME})/(?<service>${NAME})(?::(?<port>[0-9]{1,5}))?(?<path>/[!-~]*)?$`,
)

/** `namespace/name[:port][/path]`; 443 when no port is named. */
export function readService(text: string): Result<ServiceTarget, string> {
  const groups = SERVICE.exec(text)?.groups
  const { namespace, service, port = '443', path } = groups ?? {}
  if (namespace === undefined || service === undefined) {
    return { ok: false, denial: '--service is no namespace/name[:port][/path]' }
  }
  const number = Number(port)
  if (number < 1 || number > 65_535) return { ok: false, denial: '--service has no port from 1 to 65535' }
  const target = { namespace, service, port: number }
  return { ok: true, value: path === undefined ? target : { ...target, path } }
}

/** Who writes the ledger: named, or the ServiceAccount that is called like the Service. */
export function ledgerWriters({ ledgerWriter }: PlaceFlags, target: ServiceTarget): readonly string[] {
  return ledgerWriter ?? [`system:serviceaccount:${target.namespace}:${target.service}`]
}

/** Of an object: a DNS subdomain. */
export function isObjectName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(text)
}
