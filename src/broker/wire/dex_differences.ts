// The closed list of where this broker answers differently from Dex HEAD, and why. docs/differences-from-dex.md is made
// from it, and the end-to-end comparison with a real Dex fails for a difference that is not here, and for an entry that
// no longer differs.

export type DexDifference = {
  readonly id: string
  readonly title: string
  readonly dex: string
  readonly sallyport: string
  readonly why: string
  /**
   * Probes of test/e2e/wire that show it, as test/e2e/wire/closed_list.ts reads them (`NAME > ASPECT = VALUE`); empty
   * where only a peer under attack or time would.
   */
  readonly probes: readonly string[]
}

export const DEX_DIFFERENCES: readonly DexDifference[] = [
  {
    id: 'untrusted-audience',
    title: 'An audience that does not trust the client',
    dex: '500 `server_error` in a token exchange',
    sallyport: '400 `invalid_target`; client_credentials by scope keeps 400 `invalid_scope`',
    why: 'RFC 8693 §2.2.2. The caller can mend it, so it is not a server error.',
    probes: [
      'te audience not trusted',
      'te audience unknown',
      'te audience empty',
      'te one audience of two not trusted',
    ],
  },
  {
    id: 'introspection-authenticated',
    title: 'Who may introspect',
    dex: 'anybody',
    sallyport: 'an authenticated confidential client; 401 `invalid_client` otherwise',
    why: 'RFC 7662 §2.1: an open endpoint is an oracle for stolen tokens.',
    probes: ['introspect *, anonymous'],
  },
  {
    id: 'revocation',
    title: 'Revocation (RFC 7009)',
    dex: '404',
    sallyport:
      '`POST /token/revoke`: a client takes its own token back; userinfo and introspection refuse it from then on',
    why: 'A token that was seen by others should not live until it ends by itself.',
    probes: ['revoke without a token'],
  },
  {
    id: 'policy-claim',
    title: 'Who granted a token',
    dex: 'it has no policies',
    sallyport:
      'where a policy of ours granted it, `policy` names it, behind all claims of Dex; a Dex configuration without an overlay has none',
    why: 'In an emergency all that a policy granted can be denied.',
    probes: [],
  },
  {
    id: 'cache-headers',
    title: 'Cache headers',
    dex: 'none on errors, userinfo and active introspection answers',
    sallyport: '`Cache-Control: no-store` and `Pragma: no-cache` on each of them',
    why: 'RFC 6749 §5.2: an answer about credentials must not be kept by anything in between.',
    probes: ['* > header cache-control = no-store', '* > header pragma = no-cache'],
  },
  {
    id: 'jwks-max-age',
    title: 'How long the key set may be cached',
    dex: '`max-age=600, must-revalidate`, and a new key signs at once',
    sallyport: '`public, max-age=90, must-revalidate`, and a new key is published before it signs',
    why: 'kube-apiserver sees a new key within a minute and still fetches at most once a minute.',
    probes: ['keys* > header cache-control = public, max-age=90, must-revalidate'],
  },
  {
    id: 'es256-own-tokens',
    title: 'ES256 tokens at userinfo and introspection',
    dex: '403, and `{"active":false}`: its verifier knows RS256 only',
    sallyport: 'they work',
    why: 'A token that this issuer signed is this issuer’s token.',
    probes: ['userinfo ES256 signer', 'introspect ES256 signer'],
  },
  {
    id: 'target-parameters',
    title: '`audience` (RFC 8693) and `resource` (RFC 8707)',
    dex: 'ignored',
    sallyport: 'honoured; beside audience scopes they must mean the same set, else 400 `invalid_target`',
    why: 'Plain RFC clients work, and nobody gets a token for another place than the one that was asked for.',
    probes: [
      'te audience parameter',
      'te audience parameter not trusted',
      'te audience parameter other than the scope',
      'te resource parameter unknown',
      'cc audience parameter',
    ],
  },
  {
    id: 'metadata',
    title: 'RFC 8414 metadata',
    dex: '404',
    sallyport: 'served at `/.well-known/oauth-authorization-server<path of the issuer>`',
    why: 'OAuth clients that are not OpenID clients look there.',
    probes: ['RFC 8414 metadata'],
  },
  {
    id: 'discovery-honest',
    title: 'What discovery announces',
    dex: 'endpoints and scopes of every flow; cached for the life of the process',
    sallyport:
      'what works now: no authorization or device endpoint until the human flows exist; always current',
    why: 'A client that finds an endpoint uses it.',
    probes: [
      'discovery > body',
      'discovery POST > body',
      'discovery with a query > body',
      'discovery of an ES256 signer > body',
      'discovery of an issuer with a slash > body',
      'authorization_code without a code',
    ],
  },
  {
    id: 'repeated-parameters',
    title: 'A parameter that stands twice',
    dex: 'the first one wins',
    sallyport: '400 `invalid_request` (`audience` and `resource` may repeat)',
    why: 'RFC 6749 §3.2: two readers of one request must not see two requests.',
    probes: [
      'repeated parameter',
      'repeated parameter the other way round',
      'repeated parameter with one value',
    ],
  },
  {
    id: 'repeated-credentials',
    title: 'Two client credentials in one request',
    dex: 'Basic wins, the form is ignored',
    sallyport: '400 `invalid_request`; a `client_id` in the form beside Basic is fine when it is the same',
    why: 'RFC 6749 §2.3: a client must not use more than one method.',
    probes: [
      'Basic and the same client in the form',
      'Basic wins over another client in the form',
      'Basic and another client_id alone',
      'wrong Basic and right form',
    ],
  },
  {
    id: 'body-limit',
    title: 'Size of a request body',
    dex: '10 MB, then 400 `invalid_request`',
    sallyport: '64 KB, then 413 `invalid_request`',
    why: 'No form of this endpoint is longer; the rest is memory for an attacker.',
    probes: ['body of 70 KB'],
  },
  {
    id: 'subject-audience',
    title: 'The audience of a subject token',
    dex: 'not looked at: any token that the issuer signed for anybody passes',
    sallyport:
      '`aud` must be the broker’s issuer (with or without a trailing slash) or one that is configured',
    why: 'A token for somebody else, stolen from a log, is not a credential here (Dex issue 4397).',
    probes: ['te audience of another party'],
  },
  {
    id: 'subject-strictness',
    title: 'Which JWTs are taken at all',
    dex: 'what Go’s JSON reader makes of them: `exp` as text, duplicate names, any header `typ`, second spellings',
    sallyport:
      'strict: `exp` a number, each name once, canonical base64url, an algorithm of the table, sound keys',
    why: 'Two readers of one token must not see two tokens (RFC 8725).',
    probes: ['te exp as string of digits'],
  },
  {
    id: 'subject-algorithms',
    title: 'Which algorithms a subject token may use',
    dex: 'those of the issuer’s discovery document',
    sallyport: 'RS, PS and ES 256 to 512 and EdDSA, bound to the key’s type; a connector may list fewer',
    why: 'The key decides, not a document that is often out of date.',
    probes: ['te ES256 where discovery lists RS256 only'],
  },
  {
    id: 'jwt-access-tokens',
    title: 'JWT access tokens as subject tokens',
    dex: 'only through the issuer’s userinfo endpoint (`getUserInfo: true`)',
    sallyport:
      'verified like any JWT, with its audience; userinfo is for opaque tokens, and what begins as a JWT is none',
    why: 'Keycloak’s service accounts work without the `openid` scope, and the token’s audience counts.',
    probes: ['te access token without userinfo'],
  },
  {
    id: 'actor-token',
    title: 'Delegation: `actor_token` and `may_act`',
    dex: 'both are ignored',
    sallyport:
      '400 `invalid_request` for `actor_token`; the denial for a subject token whose `may_act` does not name the client',
    why: 'RFC 8693 §2.1, §4.4: who asks for two parties to be checked must not get a token for which one was.',
    probes: ['te actor_token', 'te may_act of another party'],
  },
  {
    id: 'dpop',
    title: 'A DPoP proof beside a token request',
    dex: 'ignored: the caller gets a bearer token',
    sallyport: '400 `invalid_dpop_proof`',
    why: 'RFC 9449 §5: who asks for a token that only its key can use must not get one that everybody can.',
    probes: ['te DPoP proof'],
  },
  {
    id: 'token-class',
    title: 'A token that says it is of another kind than declared',
    dex: 'the declared type is believed',
    sallyport: 'the denial, when `typ` in payload or header contradicts `subject_token_type`',
    why: 'RFC 8725 §3.12: a refresh or logout token is no proof of a login.',
    probes: ['te access token declared as id token'],
  },
  {
    id: 'clock-tolerance',
    title: 'Tolerance for clocks',
    dex: 'none on `exp`, 5 minutes on `nbf`',
    sallyport: '30 seconds on each',
    why: 'A job’s clock may be a little off; five minutes are another token’s life.',
    probes: ['te expired two seconds ago', 'te not before in 60 s'],
  },
  {
    id: 'reserved-groups',
    title: 'Groups and names in a subject token',
    dex: 'passed on whatever they say, `system:masters` and `system:admin` too',
    sallyport:
      '`system:` and `client:` are denied, in groups, `name`, `preferred_username` and `email`; so is a ServiceAccount named by `userNameKey: sub`',
    why: 'Kubernetes and OpenDepot give these prefixes a meaning of their own.',
    probes: ['te group system:masters', 'te name system:admin'],
  },
  {
    id: 'connector-by-issuer',
    title: 'A token exchange without `connector_id`',
    dex: '400 `invalid_request`',
    sallyport: 'the connector whose issuer the token names, when exactly one fits; else the same 400',
    why: 'RFC 8693 knows no connector.',
    probes: ['te connector_id missing'],
  },
  {
    id: 'connector-unreachable',
    title: 'An issuer that cannot be reached',
    dex: '400 `Requested connector does not exist.`, or no answer while it hangs',
    sallyport:
      '503 `temporarily_unavailable` with `Retry-After`, within 5 seconds, for that issuer alone. Only an authenticated ' +
      'caller is told so: a `federated_jwt` client, which Dex has not, cannot be authenticated without the issuer, and ' +
      'gets 401 `invalid_client` as for every failed proof; the audit event says `fail`, with the cause `issuer_keys_unavailable`',
    why: 'The caller should try again, and everybody else should not notice.',
    probes: [
      'te connector whose issuer cannot be reached',
      'te token of another issuer and the issuer cannot be reached',
    ],
  },
  {
    id: 'rate-limits',
    title: 'Too many requests',
    dex: 'no limit: secrets may be guessed as fast as the network carries them',
    sallyport:
      '429 `temporarily_unavailable` with `Retry-After`, by address and by client and address, and while the signer does not keep up; 503 above ' +
      'a limit of requests at once',
    why: 'One caller must not take the service from the others.',
    probes: [],
  },
  {
    id: 'long-parameters',
    title: 'Long parameters that the token repeats',
    dex: 'put into the token, whatever their length',
    sallyport:
      '400 `invalid_request` for a `nonce` of more than 512 characters, a `scope`, or `audience` and `resource` together, of more than 4096',
    why: 'A token that fits into no header is of no use, and large ones cost everybody.',
    probes: ['cc nonce of 513 characters'],
  },
  {
    id: 'form-utf8',
    title: 'Bytes in a form that are no UTF-8',
    dex: 'read as they are, and told back as `\\xff`',
    sallyport: '400 `invalid_request`',
    why: 'RFC 6749 appendix B: forms are UTF-8. Replaced bytes would make two texts one.',
    probes: ['bytes that are no UTF-8'],
  },
  {
    id: 'repeated-headers',
    title: 'A Content-Type that stands twice',
    dex: 'the first one wins',
    sallyport: '400 `invalid_request`',
    why: 'Two readers of one request must not see two requests.',
    probes: [],
  },
  {
    id: 'long-scopes',
    title: 'A scope of more than 256 characters in an error',
    dex: 'told back whole',
    sallyport: '`…` stands for it',
    why: 'It is no scope; it may be a token that was put in the wrong place, and errors are logged.',
    probes: [],
  },
  {
    id: 'client-grants',
    title: '`grantTypes` of a static client (as in OpenDepot’s documentation)',
    dex: 'no such key: silently ignored',
    sallyport: 'honoured; 400 `unauthorized_client` for another grant',
    why: 'Whoever writes it means it.',
    probes: ['te client whose grantTypes lack it'],
  },
  {
    id: 'request-id',
    title: 'Request id',
    dex: 'in the log only',
    sallyport: '`X-Request-Id` on answers, the same as in audit event and log',
    why: 'The caller can quote it, the operator finds the reason.',
    probes: ['* > header x-request-id'],
  },
]
