// Kubernetes ServiceAccount tokens: projected volumes and TokenRequest. Secret-bound legacy tokens never pass.
import { stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import { NO_FACTS, missingString, objectClaim, presentFacts, wrongShape } from './claim_shape.ts'
import type { IssuerPreset } from './preset.ts'

const NAMESPACE = '/kubernetes.io/namespace'
const ACCOUNT_NAME = '/kubernetes.io/serviceaccount/name'
const ACCOUNT_UID = '/kubernetes.io/serviceaccount/uid'

export const kubernetes: IssuerPreset = {
  name: 'kubernetes',
  isShared: () => false,
  algorithms: ['RS256', 'ES256', 'ES384', 'ES512'],
  headerTypes: ['jwt'],
  immutablePins: [[ACCOUNT_UID]],
  mutablePins: ['sub', NAMESPACE, ACCOUNT_NAME, '/kubernetes.io/pod/name', '/kubernetes.io/node/name'],
  immutableId: (claims) => stringClaim(claims, ACCOUNT_UID),
  checkShape,
  events: undefined,
  // The kubelet renews the file; until then a job reads the same token again and again.
  singleUse: 'off',
  maxAgeSeconds: undefined,
  // A pod's own API token is valid for a year; it is not for us.
  maxLifetimeSeconds: 24 * 3600,
  facts: () => presentFacts(NO_FACTS),
  displayName,
}

function checkShape(claims: Claims): SubjectDenial | undefined {
  if (objectClaim(claims, 'kubernetes.io') === undefined) {
    return wrongShape(
      'kubernetes',
      'no object claim "kubernetes.io": a legacy secret token or not a ServiceAccount',
    )
  }
  const missing = missingString('kubernetes', claims, [NAMESPACE, ACCOUNT_NAME, ACCOUNT_UID])
  if (missing !== undefined) return missing
  const expected = `system:serviceaccount:${claimText(claims, NAMESPACE)}:${claimText(claims, ACCOUNT_NAME)}`
  if (stringClaim(claims, 'sub') === expected) return undefined
  return wrongShape('kubernetes', '"sub" names another ServiceAccount than "kubernetes.io"')
}

/** `ci-runners/tofu-plan`: without `system:`, which no name of ours may begin with. */
function displayName(claims: Claims): string | undefined {
  const namespace = stringClaim(claims, NAMESPACE)
  const name = stringClaim(claims, ACCOUNT_NAME)
  return namespace === undefined || name === undefined ? undefined : `${namespace}/${name}`
}

function claimText(claims: Claims, pointer: string): string {
  return stringClaim(claims, pointer) ?? ''
}
