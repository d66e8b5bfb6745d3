// docs/webhook-rules.md: every rule, with what it says of a change that it is asked about. The messages are judged, not written.
import { MAX_LABELS, MAX_PLATFORMS } from '../../src/core/module/listing_bounds.ts'
import { RULE_IDS } from '../../src/core/module/rule_id.ts'
import type { RuleId } from '../../src/core/module/rule_id.ts'
import { MAX_CHANGED_ENTRIES, MAX_MADE_OBJECTS } from '../../src/core/module/rules/v11_at_once.ts'
import type { JudgedFinding, Verdict } from '../../src/core/module/verdict.ts'
import { denialOf } from '../../src/core/module/verdict_message.ts'
import { RULE_HELP } from '../../src/core/review/rule_help.ts'
import { RULE_EXAMPLES } from './rule_examples.ts'

export function renderWebhookRulesDocs(): string {
  return [INTRODUCTION, ...GROUPS.map(groupSection)].join('\n')
}

type Group = readonly [letter: string, title: string, text: string]

const GROUPS: readonly Group[] = [
  [
    'V',
    'Versions',
    'Of Modules, and of Providers where it means the same (WH-V4 does not: another spelling is the same object there).',
  ],
  ['M', 'Modules and Providers', ''],
  ['S', 'Versions as objects, and status', ''],
  ['D', 'Depots', ''],
  ['P', 'Publishers and pins', publishersText()],
  ['G', 'GroupBindings', ''],
  ['L', 'The ledger', ''],
  ['O', 'Policies', ''],
]

function groupSection([letter, title, text]: Group): string {
  const rules = RULE_IDS.filter((rule) => rule.startsWith(`WH-${letter}`)).map(ruleSection)
  return [`## ${title}\n`, ...(text === '' ? [] : [`${text}\n`]), ...rules].join('\n')
}

function ruleSection(rule: RuleId): string {
  const { title, why } = RULE_HELP[rule]
  const parts = [`### ${rule}: ${title}\n`, `${why}${note(rule)}\n`]
  for (const { asks, verdict } of RULE_EXAMPLES[rule]) {
    const findings = verdict.findings.filter((finding) => finding.rule === rule)
    const [finding] = findings
    if (finding === undefined) throw new Error(`the example of ${rule} does not speak of it: ${asks}`)
    parts.push(`${asks} ${effect(finding)}\n`, `\`\`\`text\n${shown({ ...verdict, findings })}\n\`\`\`\n`)
  }
  return parts.join('\n')
}

function effect({ kind, mode }: JudgedFinding): string {
  if (mode === 'audit') return 'Let through, and written into the audit log:'
  if (kind === 'notice' || mode === 'warn') return 'Let through, with a warning:'
  return kind === 'invalid' ? 'Refused (422):' : 'Refused (403):'
}

function shown(verdict: Verdict): string {
  return (
    denialOf(verdict)?.message ??
    verdict.findings.map(({ rule, message }) => `${rule}: ${message}`).join('\n')
  )
}

function note(rule: RuleId): string {
  const text = NOTES[rule]
  return text === undefined ? '' : ` ${text}`
}

function shownCount(count: number): string {
  return count.toLocaleString('en-US')
}

const HELD = 'Where nothing is immutable it is let through with a warning.'

const NOTES: Readonly<Partial<Record<RuleId, string>>> = {
  'WH-V1': HELD,
  'WH-V2': `${HELD} A pin that names the commit or the digest of the ledger brings it back.`,
  'WH-V3': HELD,
  'WH-V4': `${HELD} Controllers write a \`v\` or take it away; that is told. A version that is listed twice is malformed (422) everywhere.`,
  'WH-V11': `One request adds or takes away at most ${shownCount(MAX_CHANGED_ENTRIES)} entries, and adds versions for at most ${shownCount(MAX_MADE_OBJECTS)} Version objects of a Provider. What is above is refused in every mode, whatever the exceptions, and no other rule is asked. A list that was longer before may stay so, and a Module of any length may be deleted. A Module and a Provider have at most ${MAX_LABELS} labels, since Kubernetes bounds the length of each and not how many there are; a Provider lists at most ${MAX_PLATFORMS} operating systems and ${MAX_PLATFORMS} architectures, also where the other list is empty, which makes no platform. What had more before may keep it, and is judged for it as strictly as can be: of such an object the webhook keeps no label in memory, so of its Versions is denied what is denied under any policy that may select it by labels or without one, and what it publishes where one of those has \`immutability: required\` is immutable.`,
  'WH-V12':
    'A limit above the number of versions is refused everywhere: OpenDepot’s controller crashes on it.',
  'WH-V13': 'On what is not immutable pruning is what the limit is for; the ledger then says `pruned`.',
  'WH-D1': HELD,
  'WH-M1': 'Of a Provider: `providerConfig.name`.',
  'WH-M2': `${HELD} Of a Provider: its name, its upstream namespace, and no platform of it goes.`,
  'WH-M4':
    'A Module that is created without it is told so; where the policy has `immutability: required` it is refused (422).',
  'WH-M6': HELD,
  'WH-M7':
    'A key prefix in S3 is not asked for: OpenDepot fetches without one, though its own S3 download proxy wants it.',
  'WH-M8': 'Mode `audit`, unless a policy says otherwise.',
  'WH-M12': HELD,
  'WH-M13': `${HELD} kube-apiserver asks before it looks whether the name is taken, so a \`kubectl create\` of what is there is answered here. Of a Module that was migrated the repository counts that it came from last. What was deleted while the rules only warned comes back with the pins that the message names, or where nobody knows what it was under an exception from WH-M13 ([how](webhook-install.md#what-was-deleted-while-the-rules-only-warned)).`,
  'WH-M14': `${HELD} A Namespace whose deletion was let through is cleared.`,
  'WH-M15':
    'A Namespace that holds immutable versions keeps its labels `sallyport.dev/*`, too, and the definitions of Modules, Providers, Versions, policies and the ledger keep their fields and `v1alpha1`, status apart, whoever converts them (but his CA, which is renewed) and the keys that tell entries of a list apart (but `spec.versions` may become OpenDepot’s plain list: what an applier then leaves out WH-V1 holds). A Namespace is held in the mode of a policy that covers all of it, a definition in that of one that covers everything. Not compared is which values a field takes: an `enum`, a `maxLength`, a pattern or a CEL rule that a definition gains can refuse the next write, and takes nothing that is stored; one that it loses lets in what the rules here judge by themselves. What a webhook cannot see, its own configuration, is guarded by what `sallyport webhook generate vap` prints.',
  'WH-S1':
    'Nobody, controllers included, gives a synced version another file. An entry that is left out of `status.moduleVersionRefs` is let through, since OpenDepot’s controller writes only those that it has built so far: a controller that leaves one out and writes it with another file in a later request is not refused here. The checksum of its Version stays (WH-S2).',
  'WH-S2':
    'Of what is immutable. A Module’s Version that is made again has the checksum that the ledger remembers; of a Provider’s, which has an archive for each platform, the ledger has none.',
  'WH-S5':
    'A controller that deletes what its Module still lists is told; with `immutability: required` it is refused.',
  'WH-S6':
    'Where the Module itself says `immutable: true` OpenDepot compares the checksum before it stores, so it may be asked for there.',
  'WH-D2': 'Storage that moves is refused where a Module of it is immutable or the policy requires that.',
  'WH-P2': 'A pin that is there stays with what is immutable; a pipeline pins the commit that it runs for.',
  'WH-L1':
    'No policy loosens it, and no glass is broken: what the ledger says is changed by what happens to Modules.',
  'WH-O1': 'No policy loosens it.',
  'WH-O2': 'No policy loosens it.',
  'WH-O3': 'No policy loosens it. Also told when a policy is deleted.',
}

function publishersText(): string {
  return `Without a policy WH-P1 only warns, so that what published before goes on. With one it holds, and these may publish:

| who | how they are known | what they may |
|---|---|---|
| pipeline | its token names a repository (\`sallyport.dev/source\`) that the policy has as publisher; absent: the Module's own | the version of the tag that it runs for |
| \`gitops\` | listed by user or group | all: what it applies was reviewed |
| \`human\` | listed; who is not listed is nobody | all |
| \`importer\` | listed | create a Module with as many versions as there are; no more later |
| \`controller\` | listed; absent: the four accounts of OpenDepot's chart in \`opendepot-system\` | all, status and Versions included |

The same holds for taking a version away, deleting a Module, and changing what decides where it comes from (repository, storage,
format, limit, \`immutable\`, pins of versions that are there): where no other rule refuses it to everybody, only who may publish
may do that. That is so where nothing is immutable, and where the policy has the other rule only warn or makes an exception from it:
an exception from WH-M6 lets whoever may publish move the archives, and nobody else. The garbage collector is nobody, too: an owner
that somebody wrote on a Module would delete it for them. Who has Modules owned by other objects lists it under \`human\`
(\`system:serviceaccount:kube-system:generic-garbage-collector\`). A Depot publishes whatever it names, so only \`gitops\`, \`human\` and \`controller\` write one.

The id of the repository that published first is kept: whoever registers its path again is another repository. While [the port is
open](webhook-install.md#only-kube-apiserver-is-answered) none is kept, and only \`ids\` of a policy tell the two apart. A user who is
impersonated carries what the impersonator wrote, and is no pipeline. Protected refs and environments are no matter of this policy: the
broker's policy says which of them get a token at all.`
}

const INTRODUCTION = `<!-- Written by \`npm run docs\` from the rules themselves. Do not edit. -->

# The rules

What the webhook, the policies that kube-apiserver judges itself and the offline review say of a change. Which of them sees what is
in [what each door sees](webhook-doors.md). Every problem of a request is in one message: the rule, what was found and what is
stored, and what to do instead.

**When is something immutable?** When its Module says \`immutable: true\`, which is not taken back; when the policy that selects it has
\`immutability: required\`; and for good, when a version was published while either was so. A Provider has no such field: the
policy says it. On everything else OpenDepot's own ways stay open (a version is removed and comes back): let through, told and
remembered.

**What counts is what a request changes.** An object that breaks a rule already can be written again, labelled and finalized. A dry run
gets the same verdict and leaves nothing behind.

**Modes.** Each rule is enforced, unless the [policy](module-policy.md) says \`warn\` or \`audit\` for it (\`modes\`) or for all (\`defaultMode\`). Its
\`exceptions\` turn single rules into warnings: for Modules by name, some or all versions, until a day, with who approved it and why.

**Breaking the glass.** Unpublishing takes the annotation \`sallyport.dev/unpublish: "<versions>: <reason>"\` and the verb \`unpublish\`
on that Module; moving it takes \`sallyport.dev/migrate: "<reason>"\`, new in the same request, and the verb \`migrate\`. Neither alone
is enough. It is told, written into the audit log and remembered by the ledger.

**The answer.** 403 where a rule says no, 422 where all that is wrong is malformed. Never 409, which controllers would try again.
`
