// The entry of the broker in an AuthenticationConfiguration: which claims of its tokens make which Kubernetes name, and which
// rules hold. Two profiles: `kubernetes` (core/token/claims.ts) and `dex`, whose claims are Dex's.
import type { BrokerTrust, PlannedAuthenticator, TrustedCa } from './auth_config_plan.ts'
import type {
  ClaimValidationRule,
  ExtraMapping,
  JwtIssuer,
  UserValidationRule,
} from './authentication_configuration.ts'
import type { KubeNaming, KubeProfile } from './policy_subjects.ts'
import { extraKeyOf, SOURCE_CLAIMS } from './source_extra.ts'

/** Seconds. Tokens of the kubernetes profile never live longer (broker/tokens/issue.ts). */
export const KUBE_LIFETIME_SECONDS = 900

const WHY_AUDIENCES: Readonly<Record<KubeProfile, string>> = {
  kubernetes:
    "One audience, this cluster's own: a token for a registry, or for another cluster, is no token here.",
  dex: "This cluster's own: a token that does not name it is no token here. A token of Dex can name several: whoever else it was asked for can use it here, too, so let clients ask for this one alone.",
}

/** The broker itself: one audience, our claims, the rules that a token of ours holds and no other does. */
export function planBroker(broker: BrokerTrust, naming: KubeNaming): PlannedAuthenticator {
  const rules = broker.profile === 'kubernetes' ? kubeRules() : dexRules(broker, naming)
  const extra = extraOf(broker)
  const uid = broker.profile === 'kubernetes' ? 'uid' : 'sub'
  const why: Record<string, string> = {
    'issuer.url':
      'Compared byte for byte with "iss", and the address of the discovery document. One dead issuer here holds up every later change of this file.',
    'issuer.discoveryURL':
      'Where the discovery document is fetched instead. The document must still name the url above as its issuer, and its jwks_uri is fetched as it stands.',
    'issuer.certificateAuthority': whyCa(broker.ca),
    'issuer.audiences': WHY_AUDIENCES[broker.profile],
    'claimMappings.username': whyUsername(broker.profile, naming),
    'claimMappings.groups':
      'What the policy grants. The prefix keeps these apart from the groups of people and of Kubernetes. A token without groups has none.',
    'claimMappings.uid': whyUid(broker.profile),
    'claimMappings.extra':
      'Arrives in audit events, admission reviews and SubjectAccessReviews. Absent claims give no entry, and no error.',
    userValidationRules:
      'Holds while the prefixes above stand. Should somebody empty them, this is what keeps system:masters out of reach.',
  }
  rules.forEach((rule, index) => {
    why[`claimValidationRules[${index}]`] = rule.why
  })
  return {
    heading: 'The broker.',
    prefixFlags: { username: '--username-prefix', groups: '--groups-prefix' },
    why,
    authenticator: {
      issuer: issuerOf(broker),
      claimValidationRules: rules.map(({ rule }) => rule),
      claimMappings: {
        username: { claim: naming.usernameClaim, prefix: naming.usernamePrefix, expression: '' },
        groups: { claim: 'groups', prefix: naming.groupsPrefix, expression: '' },
        uid: { claim: uid, expression: '' },
        extra,
      },
      userValidationRules: RESERVED_NAMES,
    },
  }
}

function issuerOf(broker: BrokerTrust): JwtIssuer {
  return {
    url: broker.issuer,
    discoveryURL: broker.discoveryUrl,
    certificateAuthority: broker.ca?.pem ?? '',
    audiences: [broker.audience],
    audienceMatchPolicy: '',
    egressSelectorType: '',
  }
}

function whyCa(ca: TrustedCa | undefined): string {
  if (ca === undefined)
    return "No certificateAuthority: the issuer's certificate must chain to a root that the apiserver's own image or machine trusts. For a private CA: --ca-file."
  return `${ca.describes} With it, and for this issuer, no other root counts. Read again only when this file changes: list the next CA beside it before it takes over.`
}

function whyUsername(profile: KubeProfile, naming: KubeNaming): string {
  const prefix =
    naming.usernamePrefix === ''
      ? 'No prefix: any name can come out of it.'
      : "The prefix keeps it from being anybody else's name."
  switch (naming.usernameClaim) {
    case 'username':
      return `What the policy's username says, or <connector>:<immutable id> where it says none. ${prefix}`
    case 'sub':
      return profile === 'kubernetes'
        ? `<connector>:<immutable id>: nobody can register it again. ${prefix}`
        : `Dex's encoded subject, opaque and stable. ${prefix}`
    case 'email':
      return `As --oidc-username-claim=email, and only verified: kube-apiserver itself takes a token without email_verified. The client asks for scope email. ${prefix}`
    case 'name':
    case 'preferred_username':
      return `The client asks for scope profile. The issuer behind the connector decides what it is, and may give it to somebody else. ${prefix}`
  }
}

function whyUid(profile: KubeProfile): string {
  return profile === 'kubernetes'
    ? 'The id that the forge gives the repository (or the issuer its user) for good: names in audit logs move, this does not.'
    : "Dex's subject, made of user id and connector: the same as long as those are."
}

/** A rule with the reason for which it stands. */
export type ReasonedRule = { readonly rule: ClaimValidationRule; readonly why: string }

function kubeRules(): readonly ReasonedRule[] {
  return [
    {
      rule: required('token_use', 'kube'),
      why: 'Only tokens that the broker made for an apiserver, whatever else it signs with the same key.',
    },
    lifetimeRule(
      KUBE_LIFETIME_SECONDS,
      `kube-apiserver takes a token back only when it expires. The broker never gives more than ${KUBE_LIFETIME_SECONDS} s; a key in wrong hands cannot either. CEL reads JSON numbers as doubles, hence the .0.`,
    ),
    {
      rule: expressed("claims.sub != '' && claims.username != ''", 'sub and username must not be empty'),
      why: 'kube-apiserver would take an empty claim for the bare prefix, one user for everybody.',
    },
  ]
}

function dexRules(broker: BrokerTrust, naming: KubeNaming): readonly ReasonedRule[] {
  const { usernameClaim } = naming
  const rules: ReasonedRule[] = [
    lifetimeRule(
      broker.maxLifetimeSeconds,
      `kube-apiserver takes a token back only when it expires. The longest that this configuration gives is ${broker.maxLifetimeSeconds} s; after a change of it, make this file anew. CEL reads JSON numbers as doubles, hence the .0.`,
    ),
    {
      rule: expressed(nonEmpty(['sub', usernameClaim]), `${words(['sub', usernameClaim])} must not be empty`),
      why: 'kube-apiserver would take an empty claim for the bare prefix, one user for everybody.',
    },
  ]
  if (usernameClaim === 'email') {
    rules.push({
      rule: expressed(
        'has(claims.email_verified) && claims.email_verified == true',
        'the e-mail address must be verified',
      ),
      why: "Anybody can write anybody's address into an account. An absent email_verified is not a yes.",
    })
  }
  return rules
}

function nonEmpty(claims: readonly string[]): string {
  return [...new Set(claims)].map((claim) => `claims.${claim} != ''`).join(' && ')
}

function words(claims: readonly string[]): string {
  return [...new Set(claims)].join(' and ')
}

/** `claims.exp - claims.iat`, which go-oidc has found to be numbers where they are there; an absent iat is an error and a 401. */
export function lifetimeRule(seconds: number, why: string): ReasonedRule {
  return {
    rule: expressed(
      `claims.exp - claims.iat <= ${seconds}.0`,
      `the token must not live longer than ${seconds} s`,
    ),
    why,
  }
}

function required(claim: string, requiredValue: string): ClaimValidationRule {
  return { claim, requiredValue, expression: '', message: '' }
}

export function expressed(expression: string, message: string): ClaimValidationRule {
  return { claim: '', requiredValue: '', expression, message }
}

export const RESERVED_NAMES: readonly UserValidationRule[] = [
  {
    expression: "!user.username.startsWith('system:')",
    message: 'names that begin with system: belong to Kubernetes',
  },
  {
    expression: "user.groups.all(group, !group.startsWith('system:'))",
    message: 'groups that begin with system: belong to Kubernetes',
  },
]

function extraOf(broker: BrokerTrust): readonly ExtraMapping[] {
  if (broker.profile === 'kubernetes')
    return SOURCE_CLAIMS.map((claim) => extraMapping(claim, `claims.?${claim}.orValue('')`))
  const given = SOURCE_CLAIMS.filter((claim) => broker.policyClaims.includes(claim))
  return [
    ...given.map((claim) => extraMapping(claim, `claims.?${claim}.orValue('')`)),
    // Only with scope federated:id.
    extraMapping('connector', "claims.?federated_claims.?connector_id.orValue('')"),
  ]
}

export function extraMapping(claim: string, valueExpression: string): ExtraMapping {
  return { key: extraKeyOf(claim), valueExpression }
}
