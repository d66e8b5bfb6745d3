// ARGO-6, 10, 16, 17: what a denied change looks like in Argo CD, and how soon the next commit can mend it. Measured with 3.1.
import { quoted } from '#core/module/printable.ts'
import { attemptsLast, DEFAULT_ATTEMPTS } from './application.ts'
import type { ArgoRule, ArgoSaid } from './argo_context.ts'

/** Beyond this nobody waits before asking what is wrong. */
const LONG_SECONDS = 600

export const retries: ArgoRule = ({ application }) => {
  const { retry, prefix, automated } = application
  // Without automation a person starts each sync, and sees it.
  if (!automated.isOn && retry === undefined) return []
  const path = `${prefix}spec.syncPolicy${retry === undefined ? '' : '.retry'}`
  const limit = retry?.limit ?? DEFAULT_ATTEMPTS
  if (limit === 0 || retry?.isRefreshed === true) return []
  const wayOut =
    'write spec.syncPolicy.retry: {limit: 0}: a denial is final, and the next commit is tried at once'
  if (limit < 0) {
    const message =
      'a denied sync is tried again without end, and no later commit is tried while it is: the one that mends it, neither'
    return [{ rule: 'ARGO-6', severity: 'warn', path, message, wayOut }]
  }
  const lasts = retry === undefined ? attemptsLast(limit) : retry.lastsSeconds
  const time = lasts === undefined ? 'some time' : inMinutes(lasts)
  const message = `a denied sync is tried ${limit} more times and stays in phase Running for ${time}; a later commit, the one that mends it too, is tried only after that`
  const severity = lasts === undefined || lasts > LONG_SECONDS ? 'warn' : 'notice'
  return [{ rule: 'ARGO-6', severity, path, message, wayOut }]
}

function inMinutes(seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  const rest = Math.round(seconds % 60)
  if (minutes === 0) return `${rest} s`
  return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`
}

export const comparesAtServer: ArgoRule = ({ application }) => {
  const option = application.compareOptions.find(({ name }) => name === 'ServerSideDiff')
  if (option?.value !== 'true') return []
  return [
    {
      rule: 'ARGO-10',
      severity: 'warn',
      path: option.path,
      message:
        'ServerSideDiff=true asks the webhook while comparing: one denied Module makes the whole Application Unknown (ComparisonError), no sync of anything in it is tried, and the last operation still reads as succeeded',
      wayOut:
        'take ServerSideDiff=true out: the other objects of a commit are then applied, and the denied one is named',
    },
  ]
}

export const leavesDrift: ArgoRule = ({ application }) => {
  const { automated, prefix } = application
  if (!automated.isOn || automated.selfHeal) return []
  return [
    {
      rule: 'ARGO-17',
      severity: 'notice',
      path: `${prefix}spec.syncPolicy.automated`,
      message: 'what somebody changes in the cluster stays until the next commit',
      wayOut: 'write selfHeal: true (after a failed sync it waits for the next commit, too)',
    },
  ]
}

type Meaning = readonly [severity: 'warn' | 'notice', message: string, wayOut: string]

/** `name=value` of options that change neither what is published nor who is asked; the others have rules of their own. */
const MEANINGS: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  [
    'PruneLast=true',
    [
      'notice',
      'where a sync prunes, deletions come last: a denied one fails a sync whose other objects are applied',
      '',
    ],
  ],
  [
    'ApplyOutOfSyncOnly=true',
    [
      'notice',
      'only Modules that differ from git are written, so the webhook is asked about those alone',
      '',
    ],
  ],
  [
    'Validate=false',
    ['notice', 'the API server is not asked to check fields; the webhook judges as before', ''],
  ],
  [
    'SkipDryRunOnMissingResource=true',
    [
      'notice',
      'objects are not tried before the definition of their kind is there; they are judged when they are written',
      '',
    ],
  ],
  [
    'FailOnSharedResource=true',
    ['notice', 'a Module of two Applications fails the sync instead of going back and forth', ''],
  ],
  [
    'CreateNamespace=true',
    [
      'notice',
      'the namespace is made with the first sync; a policy that selects namespaces by name covers it from then on',
      '',
    ],
  ],
  ['PrunePropagationPolicy=background', ['notice', 'says how what is pruned goes, not what is pruned', '']],
  ['PrunePropagationPolicy=foreground', ['notice', 'says how what is pruned goes, not what is pruned', '']],
  [
    'PrunePropagationPolicy=orphan',
    ['notice', 'a pruned Module leaves its Versions behind, which OpenDepot still serves', 'take it out'],
  ],
  ['Delete=false', ['notice', 'Modules stay when the Application is deleted', '']],
  ['Prune=false', ['notice', 'Modules that leave git stay', '']],
  ['Prune=confirm', ['notice', 'a person confirms each deletion; where it is denied, the sync fails', '']],
  [
    'Delete=confirm',
    ['notice', 'a person confirms the deletion of the Application; where a Module may not go, it hangs', ''],
  ],
])

const JUDGED_ELSEWHERE: ReadonlySet<string> = new Set([
  'Replace',
  'Force',
  'ServerSideApply',
  'RespectIgnoreDifferences',
])
/** Saying that it is off is saying nothing, and what moves managed fields moves no version. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'ApplyOutOfSyncOnly=false',
  'ClientSideApplyMigration=false',
  'ClientSideApplyMigration=true',
  'CreateNamespace=false',
  'DisableClientSideApplyMigration=true',
  'FailOnSharedResource=false',
  'PruneLast=false',
  'SkipDryRunOnMissingResource=false',
  'Validate=true',
])

export const otherOptions: ArgoRule = ({ application }) =>
  application.syncOptions.flatMap(({ name, value, path }): readonly ArgoSaid[] => {
    const text = `${name}=${value}`
    if (JUDGED_ELSEWHERE.has(name) || WITHOUT_EFFECT.has(text)) return []
    const meaning = MEANINGS.get(text)
    if (meaning === undefined) {
      const message = `the sync option ${quoted(text)} is none that Argo CD 3.1 knows, and is passed over`
      return [
        { rule: 'ARGO-16', severity: 'warn', path, message, wayOut: 'write it as Name=true, or take it out' },
      ]
    }
    const [severity, message, wayOut] = meaning
    return [{ rule: 'ARGO-16', severity, path, message: `${text}: ${message}`, wayOut }]
  })
