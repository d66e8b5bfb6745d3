// docs/webhook-configuration.md: the reference of sallyport-webhook.yaml, written from its schema, with what the server answers,
// counts and writes down.
import { WEBHOOK_CODES } from '../../webhook/config/finding_codes.ts'
import { WebhookSchema } from '../../webhook/config/schema.ts'
import { codeTable, sectionsOf } from './configuration_docs.ts'

const INTRODUCTION = `<!-- Written by \`npm run docs\` from webhook/config/schema.ts. Do not edit. -->

# Configuration of the webhook

\`sallyport serve webhook --config sallyport-webhook.yaml\`. In a Pod of \`deploy/webhook\` it needs no file at all: it listens on
every address, keeps a certificate of its own and asks the cluster that it is in. Elsewhere it needs a certificate and a
kubeconfig:

\`\`\`yaml
# yaml-language-server: $schema=deploy/schema/sallyport-webhook.schema.json
listen:
  port: 8443
  tls:
    certFile: tls.crt
    keyFile: tls.key
kubeconfig: webhook.kubeconfig
\`\`\`

A wrong file is refused with every problem, its line and what to write instead, and the exit code 78; \`sallyport config check
sallyport-webhook.yaml\` says the same and serves nothing. Durations carry units
(\`90s\`, \`10m\`); relative paths start from the folder of the file.
`

const SERVER = `## What it answers

\`POST /review\` with \`application/json\`, over HTTP/1.1 and HTTP/2. Everything else is refused:

| status | when |
|---|---|
| 200 | an AdmissionReview: allowed, denied by a rule (403, or 422 where every problem is malformation), or not judged (500), which is a refusal, too |
| 400 | the body is no AdmissionReview of \`admission.k8s.io/v1\`, or nests more than 128 levels deep |
| 404, 405, 415 | another path, method or content type |
| 408 | the body did not come in time |
| 413 | more than 8 MiB: kube-apiserver takes bodies of 3 MiB and sends the object before and after, with users and fields on top |
| 503 | a watch is not in sync, or more is under way than the limits allow; the API server then does what \`failurePolicy\` says |

A review of a kind, a version, a subresource or an operation that no rule is for is denied: whoever sends it here believes that it
is guarded. \`sallyport webhook generate webhook\` writes a configuration that asks no more than is judged.

Reviews of more than 128 KiB are parsed and judged in a thread of their own, and so are smaller ones that change more than 250 versions,
name more than 1,000 Version objects or pin some 700 versions: others wait for them a few milliseconds at a time. One of 3 MB takes
some tenths of a second there, less where both lists begin with the same entries. Eight have a place at most; those above get 503 with
\`Retry-After\`, and kube-apiserver asks again. Users take turns, and where none of the eight places is free, whoever comes takes one
of the user who waits with the most, whose last review gets the 503: one user has them all while nobody else comes, and holds nobody
up. If the thread dies or takes more than 4 s, the review that it was at is refused as not
judged, and another thread takes its place. What no thread could judge in time is refused at once
([WH-V11](webhook-rules.md#wh-v11-a-module-has-no-more-versions-than-an-object-can-hold)).

## Health and metrics

\`/livez\` says that the process answers; \`/readyz\` and \`/healthz\` what is missing: \`watches\` (which are not in sync), \`audit\`
(events cannot be written), \`certificate\` (no API server would trust it yet), \`draining\`. \`ledger\` fails at once when entries cannot
be written, and says why; it stays ready and judges by what it has in memory, but not before the first entries are written, and not for
more than half a minute: then it is not ready, and reviews get 503. Entries that their definition refuses, and what an error of ours kept
out of the ledger, are told there as well, and it stays ready. So it does with \`policies\`, which tells of those that cannot
be read (the others hold), and with \`publishers\`, which tells of policies that go by the id of the
first publisher while [the port is open](webhook-install.md#only-kube-apiserver-is-answered), so that the ledger keeps none.

| metric | labels | |
|---|---|---|
| \`sallyport_webhook_admission_requests_total\` | \`operation\`, \`resource\`, \`allowed\` (\`true\`, \`false\`, \`error\`), \`mode\`, \`rule\`, \`dry_run\` | reviews answered; of several rules the first that denied, or spoke |
| \`sallyport_webhook_admission_duration_seconds\` | \`operation\`, \`resource\` | from the whole review to its answer |
| \`sallyport_webhook_http_refusals_total\` | \`code\` | requests that got no AdmissionReview |
| \`sallyport_webhook_large_reviews_refused_total\` | \`reason\` (\`share\`: its user had the most places; \`full\`: all users together had too many) | large reviews among those of code 503 |
| \`sallyport_webhook_connections_refused_total\` | | connections closed because \`listen.allowFrom\` does not have their address |
| \`sallyport_webhook_certificate_expiry_timestamp_seconds\` | | end of the serving certificate |
| \`sallyport_webhook_watch_synced\` | \`resource\` | 1 while the watch is in sync |
| \`sallyport_webhook_ledger_writes_total\` | \`result\` (\`created\`, \`updated\`, \`unchanged\`, \`conflict\`, \`failed\`, \`refused\`) | attempts to write an entry; \`refused\` [by its definition](webhook-install.md#an-entry-that-is-refused) |
| \`sallyport_webhook_ledger_entries\`, \`sallyport_webhook_ledger_backlog\` | | versions that are remembered; entries that are not written yet |
| \`sallyport_webhook_ledger_unremembered_total\`, \`sallyport_webhook_ledger_full\` | | versions that are not immutable and found no room, at each commit that lists them; Modules and Providers that have none left |
| \`sallyport_webhook_ledger_two_authors_total\` | | versions of which the ledger keeps another author than the one whose request was judged here |
| \`sallyport_webhook_policy_violations\` | \`rule\`, \`namespace\` | what the last scan found that today's rules would deny |
| \`sallyport_webhook_scan_last_timestamp_seconds\`, \`sallyport_webhook_scan_duration_seconds\` | | when the last scan ended, and how long it took |
| \`sallyport_build_info\` | \`version\` | 1: the version that runs |

## The audit log

One JSON line for each review, written before the answer leaves; if it cannot be written, the review is refused as not judged.
Never a token, never an object.

| member | meaning |
|---|---|
| \`time\`, \`event\` | when (UTC); always \`admission\` |
| \`uid\` | of the review: kube-apiserver's log and the refusal name it, too |
| \`decision\` | \`allow\`; \`deny\` by a rule or because it cannot be read; \`fail\`: not judged, and so refused |
| \`operation\`, \`resource\`, \`namespace\`, \`name\`, \`dryRun\` | what was asked |
| \`user\` | \`username\`, \`uid\`, \`credentialId\` (\`JTI=...\` of a token: the \`jti\` of the broker's own audit event), \`source\` of a broker's token |
| \`actor\`, \`policies\` | what the user is to the policies that cover the object |
| \`rules\`, \`modes\` | every rule that said something, and the modes in which they did |
| \`broken\` | what was let through by [breaking the glass](webhook-install.md#break-glass): \`verb\`, \`covers\` (versions, or paths of settings; the first 20), \`reason\` |
| \`reason\` | \`not_judged\`, \`unreadable\`: why no rule was asked |
`

export function renderWebhookConfigurationDocs(): string {
  return [
    INTRODUCTION,
    ...sectionsOf(WebhookSchema, '##'),
    `## Finding codes\n\nBeside those of YAML and schema ([configuration.md](configuration.md)):\n\n${codeTable(WEBHOOK_CODES)}\n`,
    SERVER,
  ].join('\n')
}
