// What each reason means to an operator, and the way out. explain prints it, docs/audit.md is made from it. A reason
// without an entry does not compile.
import type { DenialReason } from './denial.ts'

export type Meaning = { readonly means: string; readonly wayOut: string }

export const DENIAL_MEANINGS: Readonly<Record<DenialReason, Meaning>> = {
  method_not_allowed: {
    means: 'the token endpoint was asked with another method than POST',
    wayOut: 'send a POST',
  },
  form_malformed: {
    means:
      'the body is not a well-formed form: bad escapes, a raw ";", invalid UTF-8, too many parameters, a text that is too long, another charset',
    wayOut: 'send application/x-www-form-urlencoded; let curl encode with --data-urlencode',
  },
  body_too_large: {
    means: 'the body is larger than a form of this endpoint can be',
    wayOut: 'look at what the job sends',
  },
  parameter_repeated: {
    means: 'a parameter stands twice; only audience and resource may',
    wayOut: 'send each parameter once',
  },
  grant_type_unsupported: {
    means: 'the grant is unknown or switched off, or the parameters stand in the URL or in a JSON body',
    wayOut: 'send grant_type in a form body; in a Dex configuration list it in oauth2.grantTypes',
  },
  actor_token_unsupported: {
    means:
      'the request wants delegation (actor_token), and whoever grants it would have to look at both parties',
    wayOut:
      'leave actor_token and actor_token_type out; the exchange is impersonation as RFC 8693 §1.1 calls it',
  },
  dpop_unsupported: {
    means: 'the request carries a DPoP proof, and whoever takes it would have to bind the token to its key',
    wayOut: 'leave the DPoP header out; tokens of this broker are bearer tokens',
  },
  rate_limited: {
    means: 'the address, or the client from this address, asked more often than the limits allow',
    wayOut: 'wait for Retry-After; raise limits if a whole fleet shares the address',
  },
  client_held_off: {
    means:
      'somebody at this address tried one wrong secret of the client after the other, so the next one has to wait',
    wayOut:
      'look who guesses: client_secret_wrong events of the address; a secret that was right from there lately passes at once',
  },
  credentials_repeated: {
    means: 'the request carries two client credentials, or two different client ids',
    wayOut: 'authenticate by Basic or by the form, not both',
  },
  client_id_encoding: {
    means: 'the id in the Basic header is not form-encoded',
    wayOut: 'percent-encode it (RFC 6749 §2.3.1)',
  },
  client_secret_encoding: {
    means: 'the secret in the Basic header is not form-encoded',
    wayOut: 'percent-encode it, or send client_secret in the form',
  },
  client_unknown: {
    means: 'there is no client of this id',
    wayOut: 'compare the id with the configuration, letter by letter',
  },
  client_secret_wrong: {
    means: 'the secret is not one of the client’s, or a public client sent one',
    wayOut: 'compare it with the stored hash: sallyport hash-secret; a "+" in a Basic secret must be encoded',
  },
  client_secret_missing: {
    means: 'a confidential client sent no secret',
    wayOut: 'send it, or make the client federated_jwt',
  },
  client_auth_method_wrong: {
    means: 'the client is configured for another authentication method',
    wayOut: 'use the method of its auth block',
  },
  client_assertion_invalid: {
    means: 'the assertion, or the job’s token that stands for it, does not prove the client',
    wayOut: 'the evidence names the check that failed; explain shows all steps',
  },
  client_grant_not_allowed: {
    means: 'the client’s grants do not list this grant',
    wayOut: 'add it to grants of the client',
  },
  client_public: {
    means: 'a public client asked for what only a confidential one may have',
    wayOut: 'give the client a secret or federated_jwt',
  },
  client_disabled: {
    means: 'the client proved itself, and is switched off in an emergency',
    wayOut: 'sallyport emergency list says by whom and why; sallyport emergency lift disable client ID',
  },
  connector_not_allowed: {
    means: 'the client’s connectors do not list this connector',
    wayOut: 'add it to connectors (Dex: allowedConnectors) of the client',
  },
  connector_unknown: {
    means: 'there is no connector of this id',
    wayOut: 'compare connector_id with the configuration',
  },
  connector_missing: {
    means:
      'no connector was named, and the token’s iss is not the issuer of exactly one that the client may use',
    wayOut: 'send connector_id, or compare iss with the connector’s issuer, letter by letter',
  },
  connector_grant_not_allowed: {
    means: 'the connector’s grantTypes leave out token exchange',
    wayOut: 'add it to the connector',
  },
  connector_without_exchange: {
    means: 'tokens of this type of connector cannot be exchanged',
    wayOut: 'use a connector of type oidc or of the CI’s own type',
  },
  connector_disabled: {
    means: 'the connector is switched off in an emergency',
    wayOut: 'sallyport emergency list says by whom and why; sallyport emergency lift disable connector ID',
  },
  subject_token_missing: {
    means: 'the request has no subject_token',
    wayOut: 'look whether the job’s variable is empty',
  },
  subject_token_type_unsupported: {
    means: 'subject_token_type is none of the two token types',
    wayOut: 'urn:ietf:params:oauth:token-type:id_token or :access_token',
  },
  requested_token_type_unsupported: {
    means: 'requested_token_type is none of the two token types',
    wayOut: 'leave it out, or send id_token or access_token',
  },
  subject_malformed: {
    means: 'the subject token is no strictly well-formed JWT',
    wayOut: 'look whether the job cut, quoted or wrapped it: sallyport token --help',
  },
  subject_too_large: {
    means: 'the subject token is longer than any issuer makes them',
    wayOut: 'ask the issuer for fewer claims',
  },
  subject_algorithm_not_allowed: {
    means: 'the token is signed with an algorithm that the connector does not allow',
    wayOut: 'list it in algorithms of the connector, if the issuer means it',
  },
  subject_header_not_allowed: {
    means: 'the token’s header holds something that this connector does not expect (typ, crit, ...)',
    wayOut: 'take the kind of token that the connector is for',
  },
  subject_issuer_mismatch: {
    means: 'iss is not the connector’s issuer, byte for byte',
    wayOut: 'write the issuer exactly as the token has it; a trailing slash counts',
  },
  subject_key_unknown: {
    means: 'the issuer publishes no key of the token’s kid',
    wayOut: 'is it the right issuer? After a rotation a new key is taken within 30 s',
  },
  subject_key_unfit: {
    means: 'the issuer’s key of this kid must not verify this token',
    wayOut: 'look at the issuer’s JWKS',
  },
  subject_signature_invalid: {
    means: 'the signature does not hold: the token was changed or forged',
    wayOut: 'none for the caller',
  },
  subject_expired: {
    means: 'the token’s exp lies in the past',
    wayOut: 'exchange earlier in the job, or ask for a fresh token',
  },
  subject_not_yet_valid: {
    means: 'nbf or iat lies in the future',
    wayOut: 'compare the clocks of issuer and broker',
  },
  subject_too_old: {
    means: 'the token was made longer ago than the connector allows',
    wayOut: 'ask for a fresh token; maxAge of the connector',
  },
  subject_lifetime_too_long: {
    means: 'the token lives longer than the connector allows',
    wayOut: 'shorten it at the issuer; maxLifetime of the connector',
  },
  subject_audience_mismatch: {
    means: 'the token was made for somebody else',
    wayOut: 'ask for a token with this broker’s issuer as audience, or list the audience at the connector',
  },
  subject_claim_invalid: {
    means: 'a registered claim is missing or of the wrong type',
    wayOut: 'the evidence names the claim',
  },
  subject_shape_wrong: {
    means:
      'the token is of this issuer, but not what a job of this kind gets (a fork, a person, another token class)',
    wayOut: 'docs/connectors.md lists what each type checks',
  },
  subject_type_mismatch: {
    means: 'the token says it is of another kind than subject_token_type declares',
    wayOut: 'declare what it is; refresh and logout tokens are never taken',
  },
  subject_userinfo_failed: {
    means: 'the issuer’s userinfo did not prove the token',
    wayOut: 'Keycloak wants scope=openid for it',
  },
  subject_replayed: {
    means: 'the token was exchanged before',
    wayOut: 'ask for a fresh token; singleUse of connector or policy',
  },
  identity_claim_missing: {
    means: 'a claim that the connector’s mapping needs is missing',
    wayOut: 'in a Dex configuration set userNameKey, scopes without email, or claimMapping',
  },
  identity_groups_not_allowed: {
    means: 'none of the token’s groups is among allowedGroups',
    wayOut: 'change the membership or the list',
  },
  identity_group_reserved: {
    means: 'a group of the token begins with system: or client:',
    wayOut: 'rename it at the issuer, or map groups with a prefix',
  },
  identity_name_reserved: {
    means: 'name, preferred_username or e-mail of the token begins with system: or client:',
    wayOut: 'take the name from another claim: userNameKey or claimMapping of the connector',
  },
  policy_none_matched: {
    means: 'no policy of the connector holds',
    wayOut: 'the evidence names the first missing step of each policy',
  },
  policy_unknown: {
    means: 'the request names a policy that this connector does not have',
    wayOut: 'compare policy= with the configuration',
  },
  policy_output_refused: {
    means: 'a policy holds, but what it would put into the token is not fit',
    wayOut: 'the evidence names the template and what is wrong with its value',
  },
  policy_disabled: {
    means: 'a policy holds that is switched off in an emergency, and no other one does',
    wayOut: 'sallyport emergency list says by whom and why; sallyport emergency lift disable policy ID',
  },
  audience_not_trusted: {
    means: 'an audience is unknown or does not trust the client',
    wayOut: 'add the client to clients (Dex: trustedPeers) of the audience',
  },
  audience_not_granted: {
    means: 'the policy does not grant this audience',
    wayOut: 'add it to grant.audiences, or ask for another',
  },
  audience_profiles_mixed: {
    means: 'the audiences do not fit in one token',
    wayOut: 'ask for a token for each',
  },
  audience_sets_differ: {
    means: 'scopes and parameters name different audiences',
    wayOut: 'name them one way',
  },
  resource_malformed: {
    means: 'a resource is no absolute URI without fragment',
    wayOut: 'send the URI as configured',
  },
  scope_not_supported: { means: 'client_credentials does not know this scope', wayOut: 'leave it out' },
  scope_unrecognized: { means: 'a scope is unknown', wayOut: 'leave it out' },
  scope_audience_not_trusted: {
    means: 'an audience scope names somebody who does not trust the client',
    wayOut: 'add the client to clients (Dex: trustedPeers) of the audience',
  },
  review_malformed: {
    means: 'what came to the token review endpoint is no TokenReview',
    wayOut: 'let a kube-apiserver ask: docs/kube-token-review.md',
  },
  review_version_unsupported: {
    means: 'the kube-apiserver speaks another version than authentication.k8s.io/v1',
    wayOut: 'start it with --authentication-token-webhook-version=v1',
  },
  review_not_allowed: {
    means: 'the client is not among kube.tokenReview.clients',
    wayOut: 'list it there with the audience of its cluster',
  },
  review_token_use: {
    means: 'the reviewed token is ours, but was not made for a kube-apiserver',
    wayOut: 'exchange for an audience of profile kubernetes',
  },
  review_name_reserved: {
    means: 'with the cluster’s prefixes the user or a group would have a reserved name',
    wayOut: 'give usernamePrefix and groupsPrefix in kube.tokenReview.clients',
  },
  token_denied: {
    means: 'the token is ours and alive, and it, its client or its policy is on the deny-list',
    wayOut: 'find out who still shows it; sallyport emergency list says why it is there',
  },
  token_of_another_client: {
    means: 'a client wants to revoke a token that was issued to another one',
    wayOut: 'let its own client revoke it, or deny it: sallyport emergency deny token JTI',
  },
  issuer_keys_unavailable: {
    means: 'the issuer’s keys, or its userinfo, cannot be had right now',
    wayOut: 'look at the log line of the connector; the caller may try again',
  },
  issuer_busy: {
    means:
      'as many opaque tokens wait for the issuer’s word on them as one caller, or all together, may have waiting',
    wayOut:
      'wait for Retry-After; look who sends them, or have jobs send ID tokens, which nobody is asked about',
  },
  store_unavailable: { means: 'the store cannot be used right now', wayOut: 'look at /readyz and the log' },
  clock_off: {
    means:
      "the clock of this broker is more than 30 s off its store's, so others would refuse what it signs, and it cannot tell which tokens live",
    wayOut: 'set the clock (NTP) of the machine, or of the store; /readyz says how far it is off',
  },
  client_check_busy: {
    means: 'too many slow secret checks wait',
    wayOut: 'use generated secrets: their check costs a microsecond',
  },
  deny_list_full: {
    means: 'so many revoked tokens are remembered that there is no room for one more',
    wayOut:
      'deny the client or the policy as a whole: sallyport emergency deny; room comes back as they expire',
  },
  too_busy: {
    means: 'more requests were in work than limits.maxConcurrentRequests allows',
    wayOut: 'wait for Retry-After; raise the limit, or add a replica',
  },
  signer_busy: {
    means:
      'as many tokens wait for their signature as limits.maxWaitingSignatures allows, or one has waited for a second',
    wayOut: 'wait for Retry-After; sign with ES256, add a replica, or look why the signer is slow',
  },
  signer_unavailable: {
    means:
      'the signer elsewhere (keys.signer) does not answer, answers wrongly, or is left alone after failures',
    wayOut:
      'wait for Retry-After; the evidence and the log say what it answers, docs/remote-signing.md what to do',
  },
  signing_failed: { means: 'the signature could not be made', wayOut: 'look at the log' },
  audit_unavailable: {
    means: 'the audit event could not be written, so nothing was issued',
    wayOut: 'free the disk, or mend the pipe',
  },
}

/** Every reason, in the order of the table above. */
export const REASONS: readonly DenialReason[] = Object.keys(DENIAL_MEANINGS).filter(isReason)

function isReason(name: string): name is DenialReason {
  return Object.hasOwn(DENIAL_MEANINGS, name)
}
