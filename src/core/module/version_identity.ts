// What a version is: strict SemVer 2.0.0 with an optional leading v and without build metadata. `v1.2.0` and `1.2.0` are
// one version; everything that is remembered, compared or named goes by its plain spelling.
import { deny, ok } from './reading.ts'
import type { Reading } from './reading.ts'

export type VersionIdentity = {
  /** Without `v`: `1.2.0-rc.1`. The key of the ledger. */
  readonly plain: string
  /** Decimal digits without leading zeros, at most 18 (terraform reads them into 64 bits). */
  readonly core: readonly [major: string, minor: string, patch: string]
  readonly prerelease: readonly string[]
}

/** Longer ones make labels and object names that Kubernetes refuses. */
const MAX_VERSION_LENGTH = 64

const NUMBER = '(0|[1-9][0-9]{0,17})'
const SEMVER = new RegExp(`^v?${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-([0-9A-Za-z.-]+))?$`)
const PRERELEASE_PART = /^(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)$/

/** The denial says what is wrong, without the text itself. SemVer 2.0.0 §2, §9; §10 (build metadata) is refused. */
export function readVersionIdentity(text: string): Reading<VersionIdentity> {
  if (text === '') return deny('it is empty')
  if (text.length > MAX_VERSION_LENGTH) return deny(`it is longer than ${MAX_VERSION_LENGTH} characters`)
  if (hasBuildMetadata(text)) return deny('it has build metadata (the part from + on)')
  const match = SEMVER.exec(text)
  const [, major, minor, patch, tail] = match ?? []
  if (major === undefined || minor === undefined || patch === undefined) {
    return deny('it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them')
  }
  const prerelease = tail === undefined ? [] : tail.split('.')
  if (!prerelease.every((part) => PRERELEASE_PART.test(part))) {
    return deny('its pre-release has an empty part or a number with a leading zero')
  }
  return ok({ plain: text.startsWith('v') ? text.slice(1) : text, core: [major, minor, patch], prerelease })
}

/** Whether only the part from `+` on keeps it from being a version. */
export function hasBuildMetadata(text: string): boolean {
  const plus = text.indexOf('+')
  return plus > 0 && text.length <= MAX_VERSION_LENGTH && readVersionIdentity(text.slice(0, plus)).ok
}

/** Negative, zero or positive, by precedence (SemVer 2.0.0 §11). */
export function compareVersions(left: VersionIdentity, right: VersionIdentity): number {
  for (const [index, part] of left.core.entries()) {
    const order = compareNumbers(part, right.core[index] ?? '0')
    if (order !== 0) return order
  }
  if (left.prerelease.length === 0 || right.prerelease.length === 0) {
    return right.prerelease.length - left.prerelease.length
  }
  for (const [index, part] of left.prerelease.entries()) {
    const other = right.prerelease[index]
    if (other === undefined) return 1
    const order = comparePrereleaseParts(part, other)
    if (order !== 0) return order
  }
  return left.prerelease.length - right.prerelease.length
}

function comparePrereleaseParts(left: string, right: string): number {
  const isLeftNumber = /^[0-9]+$/.test(left)
  const isRightNumber = /^[0-9]+$/.test(right)
  if (isLeftNumber && isRightNumber) return compareNumbers(left, right)
  if (isLeftNumber !== isRightNumber) return isLeftNumber ? -1 : 1
  return compareText(left, right)
}

/** Digits of any length, no leading zeros. */
function compareNumbers(left: string, right: string): number {
  return left.length - right.length || compareText(left, right)
}

function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

/**
 * The name OpenDepot's Module controller gives the Version object, and looks it up by: `vpc` and `v1.2.0-RC.1` make
 * `vpc-1-2-0-rc-1`. Two versions can share one: `1.0.0-a.b` and `1.0.0-a-b`, or `vpc`@`1.0.0-2` and so on.
 */
export function versionObjectName(moduleName: string, version: string): string {
  const plain = version.startsWith('v') ? version.slice(1) : version
  return `${moduleName}-${plain.toLowerCase().replaceAll(/[._]/g, '-')}`
}

/** The same by OpenDepot's Provider controller, which makes one object for each platform. */
export function providerVersionObjectName(
  provider: string,
  version: string,
  operatingSystem: string,
  architecture: string,
): string {
  const plain = version.startsWith('v') ? version.slice(1) : version
  const text = `${provider}-${plain}-${operatingSystem}-${architecture}`
  return text.toLowerCase().replaceAll(/[._/]/g, '-')
}
