// All that can be said of an AuthenticationConfiguration by reading it: what kube-apiserver refuses, for the release that
// will read it, and what it loads and somebody regrets.
import type { AuthenticationConfiguration } from './authentication_configuration.ts'
import { checkExpressions } from './expressions.ts'
import type { KubeProblem } from './kube_problem.ts'
import type { KubeVersion } from './kube_version.ts'
import { doubtful, refused } from './lint_codes.ts'
import { readAuthenticationConfiguration } from './read.ts'
import { regretsOf } from './regrets.ts'
import { validateAuthenticationConfiguration } from './validate.ts'

export type LintContext = {
  /** The release that will read the file. */
  readonly version: KubeVersion
  /** What `--service-account-issuer` of the apiserver names, as far as known. */
  readonly serviceAccountIssuers: readonly string[]
}

export type AuthenticationLint = {
  readonly config: AuthenticationConfiguration | undefined
  /** The apiserver loads the file when none of them is `refused`. */
  readonly problems: readonly KubeProblem[]
}

/** @param data one document, as YAML 1.1 or JSON means it */
export function lintAuthenticationConfiguration(data: unknown, context: LintContext): AuthenticationLint {
  const { config, problems } = readAuthenticationConfiguration(data)
  if (config === undefined) return { config, problems }
  const expressions = checkExpressions(config, context.version.minor)
  const later = [
    ...releaseProblems(config, context.version),
    ...validateAuthenticationConfiguration(config, expressions, context.serviceAccountIssuers),
    ...regretsOf(config, context.version, expressions),
  ]
  // what could not be read was taken for absent: its absence is no finding
  return { config, problems: [...problems, ...later.filter((problem) => !isFollowUp(problem, problems))] }
}

function isFollowUp({ keys }: KubeProblem, decoding: readonly KubeProblem[]): boolean {
  return decoding.some(({ code, keys: broken }) => code === 'field_type' && isBelow(keys, broken))
}

function isBelow(keys: KubeProblem['keys'], above: KubeProblem['keys']): boolean {
  return above.every((key, index) => keys[index] === key)
}

/** What later releases know and this one does not; feature gates of k8s.io/apiserver. */
function releaseProblems(config: AuthenticationConfiguration, version: KubeVersion): readonly KubeProblem[] {
  const release = `Kubernetes 1.${version.minor}`
  const problems: KubeProblem[] = []
  if (config.version === 'v1' && version.apiVersion !== 'v1') {
    const message = `${release} does not know v1 of this kind`
    const wayOut = `write apiVersion: apiserver.config.k8s.io/${version.apiVersion}`
    problems.push(refused('version_unknown_to_release', { keys: ['apiVersion'] }, message, wayOut))
  }
  if (config.anonymous !== undefined && version.anonymous !== 'known') {
    const where = { keys: ['anonymous'] }
    const wayOut = 'take it out, and set the flag --anonymous-auth'
    problems.push(
      version.anonymous === 'unknown'
        ? refused('field_unknown_to_release', where, `${release} does not know anonymous`, wayOut)
        : doubtful(
            'anonymous_gated',
            where,
            `${release} refuses anonymous unless the feature gate AnonymousAuthConfigurableEndpoints is on`,
            wayOut,
          ),
    )
  }
  if (version.hasEgressSelector) return problems
  const told = config.jwt.flatMap(({ issuer }, index) => {
    if (issuer.egressSelectorType === '') return []
    const where = { keys: ['jwt', index, 'issuer', 'egressSelectorType'] }
    return [
      refused(
        'field_unknown_to_release',
        where,
        `${release} does not know egressSelectorType`,
        'take it out',
      ),
    ]
  })
  return [...problems, ...told]
}
