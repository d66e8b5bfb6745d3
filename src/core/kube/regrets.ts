// What kube-apiserver loads and somebody regrets: the findings of one file, from all parts.
import type { AuthenticationConfiguration } from './authentication_configuration.ts'
import { authenticatorFacts, valueKeys } from './authenticator_facts.ts'
import type { AuthenticatorFacts } from './authenticator_facts.ts'
import type { PlacedExpression } from './expressions.ts'
import type { KubeProblem } from './kube_problem.ts'
import type { KubeVersion } from './kube_version.ts'
import { doubtful, wrong } from './lint_codes.ts'
import { beginningsMeet } from './name_collisions.ts'
import { expressionRegrets } from './regrets_expressions.ts'
import { issuerRegrets } from './regrets_issuer.ts'
import { nameRegrets } from './regrets_names.ts'

export function regretsOf(
  config: AuthenticationConfiguration,
  version: KubeVersion,
  expressions: readonly PlacedExpression[],
): readonly KubeProblem[] {
  const authenticators = authenticatorFacts(config, expressions)
  return [
    ...versionRegrets(config, version),
    ...authenticators.flatMap((facts) => [
      ...issuerRegrets(facts),
      ...nameRegrets(facts),
      ...expressionRegrets(facts, version),
    ]),
    ...collisions(authenticators),
    ...bareAddresses(authenticators),
    ...severalIssuers(authenticators),
    ...anonymousRegrets(config),
  ]
}

function versionRegrets(config: AuthenticationConfiguration, version: KubeVersion): readonly KubeProblem[] {
  if (config.version === version.apiVersion) return []
  const message = `${config.version} will not be read for ever: Kubernetes 1.${version.minor} has ${version.apiVersion}`
  const wayOut = `write apiVersion: apiserver.config.k8s.io/${version.apiVersion}; the fields are the same`
  return [doubtful('version_old', { keys: ['apiVersion'] }, message, wayOut)]
}

function collisions(authenticators: readonly AuthenticatorFacts[]): readonly KubeProblem[] {
  return (['username', 'groups'] as const).flatMap((name) =>
    authenticators.flatMap((later, index) => {
      const before = authenticators
        .slice(0, index)
        .findIndex((other) => overlap(other[name].beginnings, later[name].beginnings))
      if (before === -1 || !later[name].isMapped) return []
      const message = `${name === 'username' ? 'user names' : 'groups'} of jwt[${before}] begin the same: one issuer can give the other's names`
      const where = { keys: [...later[name].keys, later[name].facts === undefined ? 'prefix' : 'expression'] }
      return [
        doubtful('prefixes_collide', where, message, 'give each issuer a prefix that begins no other one'),
      ]
    }),
  )
}

/** Names without a prefix are told as such. */
/** An address needs no prefix as long as no other issuer can say it. Other bare names are told of wherever they stand. */
function bareAddresses(authenticators: readonly AuthenticatorFacts[]): readonly KubeProblem[] {
  return authenticators.flatMap((later, index) => {
    const before = authenticators
      .slice(0, index)
      .findIndex((other) => isBare(other) && (isAddress(other) || isAddress(later)))
    if (before === -1 || !isBare(later)) return []
    const message = `neither jwt[${before}] nor this one has a prefix: each issuer can say an address of the other's people`
    const keys = valueKeys(later.username, 'prefix')
    return [doubtful('prefixes_collide', { keys }, message, 'give one of them a prefix: "ci:"')]
  })
}

function isBare({ username }: AuthenticatorFacts): boolean {
  return username.isMapped && username.beginnings === undefined
}

function isAddress({ username }: AuthenticatorFacts): boolean {
  return username.claims.includes('email')
}

function overlap(left: readonly string[] | undefined, right: readonly string[] | undefined): boolean {
  return left !== undefined && right !== undefined && beginningsMeet(left, right)
}

function severalIssuers(authenticators: readonly AuthenticatorFacts[]): readonly KubeProblem[] {
  if (authenticators.length < 2) return []
  const message = `a change of this file is taken up only while all ${authenticators.length} issuers can be reached`
  const wayOut =
    'know it: the old rules stay in force meanwhile, and the failure is in the log and the metrics of the apiserver'
  return [doubtful('issuers_several', { keys: ['jwt', 1] }, message, wayOut)]
}

/** What RBAC lets anonymous requests read by default (system:public-info-viewer, system:service-account-issuer-discovery). */
const OPEN_PATHS: ReadonlySet<string> = new Set([
  '/livez',
  '/readyz',
  '/healthz',
  '/version',
  '/version/',
  '/openid/v1/jwks',
  '/.well-known/openid-configuration',
])
const PROBE_PATHS = ['/livez', '/readyz']

function anonymousRegrets({ anonymous }: AuthenticationConfiguration): readonly KubeProblem[] {
  if (anonymous === undefined) return []
  const keys = ['anonymous']
  const paths = anonymous.conditions.map(({ path }) => path)
  const message =
    'anonymous is fixed at the start: with another value here no change of this file is taken up until a restart, and with --anonymous-auth the apiserver does not start'
  const wayOut = 'take the flag --anonymous-auth away, restart every apiserver, and leave this part as it is'
  const problems = [doubtful('anonymous_needs_restart', { keys }, message, wayOut)]
  if (anonymous.enabled && paths.length === 0) {
    const text = 'anonymous requests are allowed everywhere, as without this part'
    const fix = 'name the paths: conditions: [{path: /livez}, {path: /readyz}, {path: /healthz}]'
    problems.push(doubtful('anonymous_everywhere', { keys }, text, fix))
  }
  const refusedProbes = PROBE_PATHS.filter(
    (path) => !(anonymous.enabled && (paths.length === 0 || paths.includes(path))),
  )
  if (refusedProbes.length > 0) {
    const text = `${refusedProbes.join(' and ')} will be 401 without credentials: kubelet kills an apiserver whose probes fail, load balancers take it out`
    const fix =
      'write enabled: true and conditions with /livez, /readyz and /healthz, or give the probes credentials'
    problems.push(doubtful('anonymous_probes_refused', { keys }, text, fix))
  }
  return [...problems, ...paths.flatMap(pathRegrets)]
}

function pathRegrets(path: string, index: number): readonly KubeProblem[] {
  const where = { keys: ['anonymous', 'conditions', index, 'path'] }
  if (!path.startsWith('/') || /[*?#]/.test(path)) {
    const message = 'a path is compared whole, letter by letter: this one is never asked for'
    return [wrong('anonymous_path_never_matches', where, message, 'write the whole path: /livez')]
  }
  if (OPEN_PATHS.has(path)) return []
  const message = `anybody may ask for ${path}, as far as RBAC lets system:anonymous`
  const wayOut = 'take it out unless it is meant (kubeadm join reads cluster-info)'
  return [doubtful('anonymous_path_exposed', where, message, wayOut)]
}
