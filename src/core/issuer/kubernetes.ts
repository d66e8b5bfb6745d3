// Kubernetes ServiceAccount tokens: projected volumes and TokenRequest. Secret-bound legacy tokens never pass.
import { stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import { NO_FACTS, objectClaim, presentFacts, wrongShape } from './claim_shape.ts'
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
  immutableId: (claims) => accountOf(claims)?.uid,
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
  const account = accountOf(claims)
  if (account === undefined) {
    return wrongShape(
      'kubernetes',
      'no object claim "kubernetes.io": a legacy secret token or not a ServiceAccount',
    )
  }
  const { namespace, name, uid } = account
  if (namespace === undefined) return missing(NAMESPACE)
  if (name === undefined) return missing(ACCOUNT_NAME)
  if (uid === undefined) return missing(ACCOUNT_UID)
  if (claims['sub'] === `system:serviceaccount:${namespace}:${name}`) return undefined
  return wrongShape('kubernetes', '"sub" names another ServiceAccount than "kubernetes.io"')
}

/** `ci-runners/tofu-plan`: without `system:`, which no name of ours may begin with. */
function displayName(claims: Claims): string | undefined {
  const { namespace, name } = accountOf(claims) ?? {}
  return namespace === undefined || name === undefined ? undefined : `${namespace}/${name}`
}

type Account = Readonly<Record<'namespace' | 'name' | 'uid', string | undefined>>

function accountOf(claims: Claims): Account | undefined {
  const bound = objectClaim(claims, 'kubernetes.io')
  if (bound === undefined) return undefined
  const account = objectClaim(bound, 'serviceaccount') ?? {}
  return {
    namespace: stringClaim(bound, 'namespace'),
    name: stringClaim(account, 'name'),
    uid: stringClaim(account, 'uid'),
  }
}

function missing(pointer: string): SubjectDenial {
  return wrongShape('kubernetes', `claim "${pointer}" must be a non-empty string`)
}
