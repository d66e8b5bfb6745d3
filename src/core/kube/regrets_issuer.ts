// What is to be regretted about an issuer and its tokens: who else gets them, for whom they were made, how long they live.
import type { AuthenticatorFacts } from './authenticator_facts.ts'
import { readCaBundle } from './ca_bundle.ts'
import type { KubeProblem } from './kube_problem.ts'
import { doubtful, wrong } from './lint_codes.ts'

/** Audiences that tokens of CI jobs are commonly made for, each with whom it means. */
const FOREIGN_AUDIENCES: ReadonlyMap<string, string> = new Map([
  ['sts.amazonaws.com', 'AWS'],
  ['api://AzureADTokenExchange', 'Azure'],
  ['sigstore', 'Sigstore'],
  ['pypi', 'PyPI'],
  ['npm:registry.npmjs.org', 'npm'],
  ['vault', 'Vault'],
  ['account', "Keycloak's own account console"],
  ['https://kubernetes.default.svc', 'service accounts of any cluster'],
  ['https://kubernetes.default.svc.cluster.local', 'service accounts of any cluster'],
])
const GENERIC_AUDIENCES: ReadonlySet<string> = new Set([
  'kubernetes',
  'k8s',
  'kube',
  'kubectl',
  'kube-apiserver',
  'cluster',
  'api',
])

/** Claims of CI jobs that tell what started them, or on which ref. */
const EVENT_CLAIMS = [
  'event_name',
  'ref',
  'ref_type',
  'ref_path',
  'ref_protected',
  'environment',
  'environment_protected',
  'pipeline_source',
  'sub',
  'workflow_ref',
  'job_workflow_ref',
  'terraform_run_phase',
  'build_branch',
]

export function issuerRegrets(facts: AuthenticatorFacts): readonly KubeProblem[] {
  return [
    ...placeholders(facts),
    ...sharedIssuer(facts),
    ...audiences(facts),
    ...jobs(facts),
    ...connection(facts),
  ]
}

function placeholders({ config, keys }: AuthenticatorFacts): readonly KubeProblem[] {
  const { url, discoveryURL = '', audiences: named } = config.issuer
  const texts = [
    { text: url, at: [...keys, 'issuer', 'url'] },
    { text: discoveryURL, at: [...keys, 'issuer', 'discoveryURL'] },
    ...named.map((text, index) => ({ text, at: [...keys, 'issuer', 'audiences', index] })),
  ]
  return texts.flatMap(({ text, at }) => {
    const found = /<[^<>]+>|\$\{[^}]*\}|\$\([^)]*\)|\{\{.*?\}\}|change[-_]?me/i.exec(text)?.[0]
    if (found === undefined) return []
    const message = `${JSON.stringify(found)} is a placeholder`
    return [wrong('placeholder_left', { keys: at }, message, 'write the value that it stands for')]
  })
}

function sharedIssuer({ issuer, ruleClaims, keys }: AuthenticatorFacts): readonly KubeProblem[] {
  if (issuer?.isShared !== true) return []
  if ([...issuer.ownerClaims, 'sub'].some((claim) => ruleClaims.has(claim))) return []
  const message = `anybody gets tokens of ${issuer.name}, with this audience too, and no rule says whose are meant`
  const wayOut = `add to claimValidationRules: - expression: "${issuer.pinRule}"`
  return [wrong('shared_issuer_unpinned', { keys: [...keys, 'issuer', 'url'] }, message, wayOut)]
}

function audiences({ config, issuer, keys }: AuthenticatorFacts): readonly KubeProblem[] {
  const { audiences: named, url } = config.issuer
  const at = [...keys, 'issuer', 'audiences']
  const problems = named.flatMap((audience, index): readonly KubeProblem[] => {
    const problem = audienceRegret(audience, url, issuer?.defaultAudience, [...at, index])
    return problem === undefined ? [] : [problem]
  })
  if (named.length < 2) return problems
  const message = `a token made for any of these ${named.length} is taken: whoever runs the others can use it here`
  const wayOut = 'keep one audience that is this cluster alone: kube:prod-1'
  return [...problems, doubtful('audiences_several', { keys: at }, message, wayOut)]
}

function audienceRegret(
  audience: string,
  url: string,
  defaultAudience: string | undefined,
  keys: KubeProblem['keys'],
): KubeProblem | undefined {
  const wayOut = 'take an audience that is this cluster alone: kube:prod-1'
  const user = FOREIGN_AUDIENCES.get(audience)
  if (user !== undefined) {
    const message = `this audience means ${user}: tokens that go there are taken here as well`
    return doubtful('audience_foreign', { keys }, message, wayOut)
  }
  if (defaultAudience !== undefined && audience.startsWith(defaultAudience)) {
    const message = 'this is what a job gets when it asks for no audience: such tokens go anywhere'
    return doubtful('audience_foreign', { keys }, message, wayOut)
  }
  if (audience !== '' && audience.replace(/\/$/, '') === url.replace(/\/$/, '')) {
    const message = 'the audience is the issuer: every token that is meant for the issuer itself is taken'
    return doubtful('audience_is_issuer', { keys }, message, wayOut)
  }
  if (!GENERIC_AUDIENCES.has(audience)) return undefined
  const message = `${JSON.stringify(audience)} names no cluster: a token for another one that says the same is taken`
  return doubtful('audience_generic', { keys }, message, wayOut)
}

function jobs({ issuer, ruleClaims, keys }: AuthenticatorFacts): readonly KubeProblem[] {
  if (issuer?.isCi !== true) return []
  const problems: KubeProblem[] = []
  if (!EVENT_CLAIMS.some((claim) => ruleClaims.has(claim))) {
    const message = `no rule looks at what started the job or on which ref: a stranger's pull request may do`
    const wayOut = `add to claimValidationRules: - expression: "${issuer.eventRule === '' ? "claims.ref == 'refs/heads/main'" : issuer.eventRule}"`
    problems.push(doubtful('pull_requests_possible', { keys }, message, wayOut))
  }
  if (!ruleClaims.has('exp')) {
    const message = 'no rule bounds how long a token lives, and the apiserver takes it until it expires'
    const wayOut = 'add to claimValidationRules: - expression: "claims.exp - claims.iat <= 3600.0"'
    problems.push(doubtful('lifetime_unbounded', { keys }, message, wayOut))
  }
  return problems
}

function connection({ config, keys }: AuthenticatorFacts): readonly KubeProblem[] {
  const { discoveryURL = '', egressSelectorType, certificateAuthority } = config.issuer
  const at = [...keys, 'issuer']
  const problems: KubeProblem[] = []
  if (discoveryURL !== '' && !discoveryURL.includes('/.well-known/')) {
    const message = 'discoveryURL is fetched as it stands; nothing is added to it'
    const wayOut = `write ${discoveryURL.replace(/\/$/, '')}/.well-known/openid-configuration`
    problems.push(
      doubtful('discovery_url_not_well_known', { keys: [...at, 'discoveryURL'] }, message, wayOut),
    )
  }
  if (egressSelectorType !== '') {
    const message = `an apiserver without --egress-selector-config-file, or without ${egressSelectorType} in it, does not start`
    const wayOut = 'make sure that it has one, or leave egressSelectorType out'
    problems.push(
      doubtful('egress_selector_needs_flag', { keys: [...at, 'egressSelectorType'] }, message, wayOut),
    )
  }
  const bundle = certificateAuthority === '' ? undefined : readCaBundle(certificateAuthority)
  if (bundle?.ok === true && bundle.otherBlocks.some((type) => type.endsWith('PRIVATE KEY'))) {
    const message = 'a private key stands in this file, which needs certificates and nothing else'
    const wayOut = 'take the key out, and replace it: whoever could read the file has it'
    problems.push(wrong('private_key_in_ca', { keys: [...at, 'certificateAuthority'] }, message, wayOut))
  }
  return problems
}
