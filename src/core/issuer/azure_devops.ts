// Azure DevOps pipelines' OIDC tokens. Their audience is fixed, so nothing binds them to this broker but ids; Microsoft
// calls the token no data contract. Best effort, and said so in the docs.
import { stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import {
  NO_FACTS,
  hostAndPath,
  hostOf,
  missingString,
  presentFacts,
  refTypeOf,
  wrongShape,
} from './claim_shape.ts'
import type { IssuerPreset, SourceFacts } from './preset.ts'

const KNOWN_CLAIMS = [
  'iss sub aud iat nbf exp jti org_id prj_id def_id run_id',
  'rpo_id rpo_uri rpo_ver rpo_ref',
].flatMap((names) => names.split(' '))

export const azureDevops: IssuerPreset = {
  name: 'azure-devops',
  // Each organisation has its own path, but anybody's pipeline can have the same audience.
  isShared: (issuer) => hostOf(issuer) === 'vstoken.dev.azure.com',
  algorithms: ['RS256'],
  headerTypes: ['jwt'],
  immutablePins: [['prj_id', 'def_id']],
  mutablePins: ['sub', 'rpo_uri', 'rpo_ref'],
  claims: KNOWN_CLAIMS,
  refs: { rpo_ref: 'full' },
  immutableId,
  checkShape,
  events: undefined,
  singleUse: 'per_audience',
  maxAgeSeconds: 600,
  // Asked for when needed, 600 s.
  maxLifetimeSeconds: 900,
  facts,
  fixedAudience: 'api://AzureADTokenExchange',
}

/** Definition ids count within a project only. */
function immutableId(claims: Claims): string | undefined {
  const project = stringClaim(claims, 'prj_id')
  const definition = stringClaim(claims, 'def_id')
  return project === undefined || definition === undefined ? undefined : `${project}/${definition}`
}

function checkShape(claims: Claims): SubjectDenial | undefined {
  const missing = missingString('azure-devops', claims, ['sub', 'org_id', 'prj_id', 'def_id', 'run_id'])
  if (missing !== undefined) return missing
  const sub = stringClaim(claims, 'sub') ?? ''
  if (!sub.startsWith('p://') && !sub.startsWith('sc://')) {
    return wrongShape('azure-devops', '"sub" must begin "p://" or "sc://"')
  }
  const organization = stringClaim(claims, 'org_id')
  if (stringClaim(claims, 'iss')?.endsWith(`/${organization}`) === true) return undefined
  return wrongShape('azure-devops', '"iss" and "org_id" name different organisations')
}

function facts(claims: Claims): SourceFacts {
  const address = hostAndPath(stringClaim(claims, 'rpo_uri') ?? '')
  const ref = stringClaim(claims, 'rpo_ref')
  return presentFacts({
    ...NO_FACTS,
    ci: 'azure-devops',
    source: address === undefined ? undefined : `${address.host}${address.path}`,
    repository: address === undefined || address.path === '' ? undefined : address.path.slice(1),
    repository_id: stringClaim(claims, 'rpo_id'),
    ref,
    ref_type: refTypeOf(ref),
    sha: stringClaim(claims, 'rpo_ver'),
    run_id: stringClaim(claims, 'run_id'),
  })
}
