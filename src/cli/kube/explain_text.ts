// The words of `sallyport kube explain` for people.
import { tokenReviewError } from '#core/kube/authenticate.ts'
import type { AuthenticationConfiguration } from '#core/kube/authentication_configuration.ts'
import type { Authentication, TraceStep } from '#core/kube/authentication_trace.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import { printable } from '../printable.ts'
import { stepLine } from '../steps_text.ts'
import type { ClusterAnswer } from './explain_cluster.ts'

const STEP_WIDTH = 14

export function authenticationText(
  config: AuthenticationConfiguration,
  { steps, outcome }: Authentication,
): string {
  const lines = steps.map((step) => traceLine(config, step))
  return `${[...lines, '', ...resultLines(outcome)].map(printable).join('\n')}\n`
}

function resultLines(outcome: Authentication['outcome']): readonly string[] {
  switch (outcome.kind) {
    case 'authenticated':
      return userLines(outcome.user)
    case 'refused':
      return refusalLines(outcome.refusal)
    case 'unknown':
      return ['It cannot be told from here:', `  ${outcome.why}`, `  -> ${outcome.wayOut}`]
  }
}

function traceLine(
  config: AuthenticationConfiguration,
  { step, of, outcome, value, keys }: TraceStep,
): string {
  const label = step === 'claim rule' || step === 'user rule' ? ruleName(config, keys, of) : of
  const said = outcome === 'not reached' ? '' : value
  return stepLine(outcome, step, [label, said].filter(Boolean).join(': '), STEP_WIDTH)
}

/** A rule by its message, which says what it is for; else by its text. */
function ruleName(config: AuthenticationConfiguration, keys: TraceStep['keys'], text: string): string {
  const [, index, list, n] = keys
  const jwt = config.jwt[Number(index)]
  const rules = list === 'userValidationRules' ? jwt?.userValidationRules : jwt?.claimValidationRules
  const message = rules?.[Number(n)]?.message ?? ''
  return message === '' ? text : `${text} (${message})`
}

function refusalLines(refusal: Parameters<typeof tokenReviewError>[0]): readonly string[] {
  return [
    `${refusal.code}: 401 Unauthorized; the apiserver logs, and tells no client:`,
    `  ${tokenReviewError(refusal)}`,
    `  -> ${refusal.wayOut}`,
  ]
}

function userLines(user: KubeUser): readonly string[] {
  return ['The apiserver would take it as:', ...userFields(user)]
}

function userFields({ username, uid, groups, extra }: KubeUser): readonly string[] {
  return [
    `  username  ${username}`,
    ...(uid === '' ? [] : [`  uid       ${uid}`]),
    `  groups    ${groups.join(', ')}`,
    ...Object.entries(extra).map(([key, values]) => `  extra     ${key}: ${values.join(', ')}`),
  ]
}

export function clusterText(cluster: ClusterAnswer, authentication: Authentication): string {
  const { place, failure, access } = cluster
  if (failure !== undefined) return `The cluster could not be asked: ${printable(failure)}\n`
  const lines = [
    `The cluster ${place}:`,
    ...bearerLines(cluster, authentication),
    ...access.flatMap((one) => accessLines(one, cluster, authentication)),
  ]
  return `${lines.map(printable).join('\n')}\n`
}

function bearerLines({ bearer }: ClusterAnswer, { outcome }: Authentication): readonly string[] {
  switch (bearer.kind) {
    case 'not asked':
      return [stepLine('unchecked', 'token', bearer.why, STEP_WIDTH)]
    case 'refused': {
      const reason =
        bearer.reason ?? '401; who may create TokenReviews is told the reason: use such a kubeconfig'
      const differs =
        outcome.kind === 'authenticated'
          ? [
              '  -> it runs another file, or holds other keys, or its clock differs: sallyport kube lint --cluster',
            ]
          : []
      return [stepLine('no', 'token', reason, STEP_WIDTH), ...differs]
    }
    case 'taken':
      return [
        stepLine('yes', 'token', 'taken as', STEP_WIDTH),
        ...userFields(bearer.user),
        ...(outcome.kind === 'authenticated' ? differenceLines(bearer.user, outcome.user) : []),
        ...(outcome.kind !== 'refused'
          ? []
          : [
              '  -> it takes what this file refuses: it runs another file, or has the token from up to 10 s ago',
            ]),
      ]
  }
}

function differenceLines(theirs: KubeUser, ours: KubeUser): readonly string[] {
  const isSame =
    theirs.username === ours.username && theirs.groups.toSorted().join() === ours.groups.toSorted().join()
  return isSame
    ? []
    : ['  -> not the user that this file gives: it runs another file, sallyport kube lint --cluster']
}

function accessLines(
  { question, answer, asked, failure }: ClusterAnswer['access'][number],
  { bearer }: ClusterAnswer,
  { outcome }: Authentication,
): readonly string[] {
  if (answer === undefined) return [stepLine('unchecked', 'may', `${question}: ${failure ?? ''}`, STEP_WIDTH)]
  const about = asked === 'administrator' ? ', if it were this user' : ''
  if (answer.allowed) return [stepLine('yes', 'may', `${question}${about}: ${answer.reason}`, STEP_WIDTH)]
  const user =
    bearer.kind === 'taken' ? bearer.user : outcome.kind === 'authenticated' ? outcome.user : undefined
  const names = [
    ...(user === undefined ? [] : [`User "${user.username}"`]),
    ...(user?.groups ?? [])
      .filter((group) => group !== 'system:authenticated')
      .map((group) => `Group "${group}"`),
  ]
  return [
    stepLine(
      'no',
      'may',
      `${question}${about}: 403 Forbidden${answer.reason === '' ? '' : `, ${answer.reason}`}`,
      STEP_WIDTH,
    ),
    `  -> bind a role that allows it to ${names.join(' or ')}: sallyport kube rbac`,
  ]
}
