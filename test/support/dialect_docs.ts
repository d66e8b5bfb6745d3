// Generated pages about the dialect: where it differs from Dex, and what each reason in the audit log means.
import { STEPS, stepOf } from '../../src/core/audit_event.ts'
import { DENIAL_MEANINGS, REASONS } from '../../src/core/denial_meaning.ts'
import { DEX_DIFFERENCES } from '../../src/broker/wire/dex_differences.ts'

const GENERATED = '<!-- Generated from the sources: npm run docs -->'

export function renderDifferences(): string {
  const entries = DEX_DIFFERENCES.map(
    ({ id, title, dex, sallyport, why }) =>
      `## ${title}\n\n\`${id}\`\n\n* **Dex**: ${dex}.\n* **Sallyport**: ${sallyport}.\n* **Why**: ${why}\n`,
  )
  return [
    '# Where Sallyport differs from Dex',
    GENERATED,
    'Sallyport speaks the dialect of Dex HEAD (commit `ab64ed7`): paths, order of checks, statuses, codes, texts, claim order,',
    '`sub`. An end-to-end test sends the same requests to a real Dex and to Sallyport and compares status, headers, bodies and',
    'decoded claims. What is not equal is in this list, and nothing else is.\n',
    ...entries,
  ].join('\n')
}

export function renderAudit(): string {
  const rows = STEPS.flatMap((step) =>
    REASONS.filter((reason) => stepOf(reason) === step).map((reason) => {
      const { means, wayOut } = DENIAL_MEANINGS[reason]
      return `| ${step} | \`${reason}\` | ${means} | ${wayOut} |`
    }),
  )
  return [
    '# The audit log',
    GENERATED,
    'One JSON line for each decision of the token endpoint, allow or deny, written before the answer leaves; when it cannot be',
    'written, nothing is issued. `audit.destination` says where (`stdout`, `stderr`, a file; SIGHUP opens it anew). Never a',
    'token, never a secret: a subject token is known by `jti` and by `hash`, the SHA-256 of what was signed.\n',
    '| member | meaning |',
    '|---|---|',
    '| `time`, `requestId`, `peer` | when (UTC), the `X-Request-Id` of the answer, who called |',
    '| `event` | `token`; `introspection` and `userinfo`, of which only refusals are written, and of tokens only those that a lever denies; `review`: a kube-apiserver asked who a token is; `revocation`: a client takes a token back (RFC 7009); `emergency`: a person pulled or lifted a lever, or revoked a key |',
    '| `decision` | `allow`; `deny` by a rule; `fail`: our fault or the network’s, also where the wire says no more than `invalid_client` (`evidence.cause` names it) |',
    '| `step`, `reason`, `evidence` | where it ended, why, and the facts of that reason |',
    '| `grant`, `client`, `clientAuth`, `connector`, `policy` | what was asked and what decided |',
    '| `subject` | `iss`, `sub`, `jti`, `hash`, `kid` of the subject token, once it is verified |',
    '| `audiencesRequested`, `audiences`, `profile` | for whom |',
    '| `replayScope` | `local`: the store was away, and the connector accepts replays then (`whenStoreFails`); that the token was not used before is known of one process alone |',
    '| `issued` | `jti`, `kid`, `sub`, `exp` of the issued token: the way from the job to what was done with its token |',
    '| `lever` | of an emergency: what was done (`did`) to which `kind` and `id`, `until` when, `by` whom and `why`; written by the first broker that obeys |\n',
    'How an event is joined with what kube-apiserver wrote about the same token: [kube-audit.md](kube-audit.md).\n',
    'The caller of a denied exchange learns `access_denied` and nothing more. `sallyport explain` shows the rest.\n',
    '## Reasons\n',
    '| step | reason | means | way out |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}
