// The extensions of a certificate as Go's crypto/x509 (1.26) parses them: each once, and those that it knows well-formed.
import { contextTag, Der, MalformedDer, TAG } from './der.ts'
import { parseGoUrl } from './go_url.ts'

type Extension = { readonly oid: string; readonly isCritical: boolean; readonly value: Buffer }

export function checkExtensions(extensions: Der): void {
  const seen = new Set<string>()
  const all: Extension[] = []
  while (!extensions.isEmpty) {
    const extension = readExtension(extensions)
    if (seen.has(extension.oid)) throw new MalformedDer('an extension stands twice')
    seen.add(extension.oid)
    all.push(extension)
  }
  for (const extension of all) checkOne(extension)
}

function readExtension(extensions: Der): Extension {
  try {
    const extension = extensions.read(TAG.sequence)
    const oid = extension.oid()
    const isCritical = extension.isNext(TAG.boolean) && extension.boolean()
    return { oid, isCritical, value: extension.read(TAG.octetString).bytes }
  } catch (error) {
    if (!(error instanceof MalformedDer)) throw error
    throw new MalformedDer('an extension is malformed', { cause: error })
  }
}

type Check = { readonly name: string; readonly mayBeCritical: boolean; readonly read: (value: Der) => void }

/** 2.5.29.x by its last byte in hexadecimal, and authority information access. */
const CHECKS: ReadonlyMap<string, Check> = new Map([
  [
    '551d0e',
    { name: 'subject key id', mayBeCritical: false, read: (value) => void value.read(TAG.octetString) },
  ],
  ['551d0f', { name: 'key usage', mayBeCritical: true, read: (value) => void value.bitString() }],
  ['551d11', { name: 'subject alternative names', mayBeCritical: true, read: checkAlternativeNames }],
  ['551d13', { name: 'basic constraints', mayBeCritical: true, read: checkBasicConstraints }],
  ['551d1e', { name: 'name constraints', mayBeCritical: true, read: checkNameConstraints }],
  ['551d1f', { name: 'CRL distribution points', mayBeCritical: true, read: checkDistributionPoints }],
  ['551d20', { name: 'certificate policies', mayBeCritical: true, read: checkPolicies }],
  ['551d21', { name: 'policy mappings', mayBeCritical: true, read: checkPolicyMappings }],
  ['551d23', { name: 'authority key id', mayBeCritical: false, read: checkAuthorityKey }],
  ['551d24', { name: 'policy constraints', mayBeCritical: true, read: checkPolicyConstraints }],
  ['551d25', { name: 'extended key usage', mayBeCritical: true, read: checkExtendedUsage }],
  ['551d36', { name: 'inhibit any policy', mayBeCritical: true, read: (value) => void value.smallInteger() }],
  ['2b06010505070101', { name: 'authority information access', mayBeCritical: false, read: checkAccess }],
])

function checkOne({ oid, isCritical, value }: Extension): void {
  const check = CHECKS.get(oid)
  if (check === undefined) return
  if (isCritical && !check.mayBeCritical) throw new MalformedDer(`its ${check.name} is marked critical`)
  try {
    check.read(new Der(value))
  } catch (error) {
    if (!(error instanceof MalformedDer)) throw error
    throw new MalformedDer(`its ${check.name} is malformed`, { cause: error })
  }
}

function checkAlternativeNames(value: Der): void {
  const names = value.read(TAG.sequence)
  while (!names.isEmpty) {
    const { tag, content } = names.any()
    const { bytes } = content
    const isText = bytes.every((byte) => byte < 0x80)
    if ([0x81, 0x82, 0x86].includes(tag) && !isText) throw new MalformedDer('name')
    if (tag === 0x86 && !parseGoUrl(bytes.toString('latin1')).ok) throw new MalformedDer('URI')
    if (tag === 0x87 && bytes.length !== 4 && bytes.length !== 16) throw new MalformedDer('address')
  }
}

function checkBasicConstraints(value: Der): void {
  const constraints = value.read(TAG.sequence)
  if (constraints.isNext(TAG.boolean)) constraints.boolean()
  if (constraints.isNext(TAG.integer) && constraints.smallInteger() < 0n) throw new MalformedDer('length')
}

function checkNameConstraints(value: Der): void {
  const constraints = value.read(TAG.sequence)
  const trees = [constraints.optional(contextTag(0, true)), constraints.optional(contextTag(1, true))]
  if (!value.isEmpty || !constraints.isEmpty || trees.every((tree) => tree?.isEmpty !== false)) {
    throw new MalformedDer('constraints')
  }
  for (const tree of trees.filter((one) => one !== undefined)) {
    while (!tree.isEmpty) {
      const { tag, content } = tree.read(TAG.sequence).any()
      if (!isConstraint(tag, content.bytes)) throw new MalformedDer('constraint')
    }
  }
}

/** Of a name, an address with its mask, or a kind that Go does not know. */
function isConstraint(tag: number, bytes: Buffer): boolean {
  if (tag === 0x87)
    return (bytes.length === 8 || bytes.length === 32) && isMask(bytes.subarray(bytes.length / 2))
  const text = bytes.toString('latin1')
  if (tag === 0x81 && text.includes('@')) return /^[!-~]+@[!-~]+$/.test(text)
  if (tag === 0x86 && isAddress(text)) return false
  return ![0x81, 0x82, 0x86].includes(tag) || isDomain(text)
}

function isAddress(text: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(text) || text.includes(':')
}

/** domainNameValid: no empty label but a leading one, printable ASCII. */
function isDomain(text: string): boolean {
  const labels = text.replace(/^\./, '').split('.')
  return text === '' || labels.every((label) => /^[!-~]+$/.test(label))
}

function isMask(mask: Buffer): boolean {
  const bits = [...mask].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return !bits.includes('01')
}

function checkDistributionPoints(value: Der): void {
  const points = value.read(TAG.sequence)
  while (!points.isEmpty) {
    const name = points.read(TAG.sequence).optional(contextTag(0, true))
    if (name === undefined) continue
    const names = name.read(contextTag(0, true))
    while (names.isNext(contextTag(6, false))) names.any()
  }
}

function checkPolicies(value: Der): void {
  const policies = value.read(TAG.sequence)
  const seen = new Set<string>()
  while (!policies.isEmpty) {
    const policy = policies.read(TAG.sequence).read(TAG.oid).bytes
    // parts of any size, none with a leading 0x80
    const isPadded = policy.some((byte, index) => byte === 0x80 && (policy[index - 1] ?? 0) < 0x80)
    const isWhole = (policy.at(-1) ?? 0x80) < 0x80 && !isPadded
    if (!isWhole || seen.has(policy.toString('hex'))) throw new MalformedDer('policy')
    seen.add(policy.toString('hex'))
  }
}

function checkPolicyMappings(value: Der): void {
  const mappings = value.read(TAG.sequence)
  while (!mappings.isEmpty) {
    const mapping = mappings.read(TAG.sequence)
    mapping.read(TAG.oid)
    mapping.read(TAG.oid)
  }
}

function checkAuthorityKey(value: Der): void {
  value.read(TAG.sequence).optional(contextTag(0, false))
}

function checkPolicyConstraints(value: Der): void {
  const constraints = value.read(TAG.sequence)
  for (const tag of [contextTag(0, false), contextTag(1, false)]) {
    if (constraints.isNext(tag)) constraints.smallInteger(tag)
  }
}

function checkExtendedUsage(value: Der): void {
  const usages = value.read(TAG.sequence)
  while (!usages.isEmpty) usages.oid()
}

function checkAccess(value: Der): void {
  const accesses = value.read(TAG.sequence)
  while (!accesses.isEmpty) {
    const access = accesses.read(TAG.sequence)
    access.oid()
    access.optional(contextTag(6, false))
  }
}
