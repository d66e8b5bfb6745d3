// What a running cluster says of a token: TokenReview's reason, or at least whether it takes it, and what RBAC answers.
import type { Authentication } from '#core/kube/authentication_trace.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import type { Result } from '#core/result.ts'
import type { AccessAnswer, AccessQuestion, KubeClient } from '#platform/kube/kube_client.ts'
import type { KubeFailure } from '#platform/kube/kube_target.ts'
import type { CommandIo } from '../command.ts'
import { withoutTokens } from '../shown_input.ts'
import type { KubeExplainFlags } from './explain.ts'

export type ClusterAnswer = {
  readonly place: string
  /** Why nothing could be asked at all. */
  readonly failure: string | undefined
  readonly bearer: BearerAnswer
  readonly access: readonly {
    readonly question: string
    readonly answer: AccessAnswer | undefined
    /** Who asked: the token itself, or the kubeconfig's user about somebody else. */
    readonly asked: 'bearer' | 'administrator' | undefined
    readonly failure: string | undefined
  }[]
}

type BearerAnswer =
  | { readonly kind: 'taken'; readonly user: KubeUser }
  | {
      readonly kind: 'refused'
      /** `undefined`: the kubeconfig's user may not ask, and the cluster tells the token's bearer nothing. */
      readonly reason: string | undefined
    }
  | { readonly kind: 'not asked'; readonly why: string }

/** `VERB RESOURCE[.GROUP][/NAME]` or `VERB /PATH`, as written. */
export type Question = { readonly verb: string; readonly target: string }

/** The pairs behind --can. */
export function readQuestions({ can = [] }: KubeExplainFlags): Result<readonly Question[], string> {
  if (can.length % 2 === 1) return { ok: false, denial: '--can wants VERB and RESOURCE: --can get pods' }
  const questions = Array.from({ length: can.length / 2 }, (_, n) => ({
    verb: can[2 * n] ?? '',
    target: can[2 * n + 1] ?? '',
  }))
  return { ok: true, value: questions }
}

/** `undefined` when no flag asks for a cluster. `token` is absent for a claim set. */
export async function askCluster(
  flags: KubeExplainFlags,
  token: string | undefined,
  authentication: Authentication,
  { env }: Pick<CommandIo, 'env'>,
): Promise<ClusterAnswer | undefined> {
  const isWanted = [flags.kubeconfig, flags.context, flags.can].some((flag) => flag !== undefined)
  const questions = readQuestions(flags)
  if (!isWanted || !questions.ok) return undefined
  const { openKubeClient } = await import('#platform/kube/kube_client.ts')
  const opened = await openKubeClient({ kubeconfig: flags.kubeconfig, context: flags.context, env })
  // The name of the kubeconfig stands in it.
  if (!opened.ok) return unasked('', withoutTokens(opened.denial.message))
  const client = opened.value
  const { context, server } = client.place
  const place = `${server} (context ${context})`
  const bearer = await reviewBearer(client, token)
  if (!bearer.ok) return unasked(place, bearer.denial.message)
  const access = []
  for (const question of questions.value) {
    access.push(
      await askAccess(question, flags.namespace ?? '', {
        client,
        token,
        bearer: bearer.value,
        authentication,
      }),
    )
  }
  return { place, failure: undefined, bearer: bearer.value, access }
}

function unasked(place: string, failure: string): ClusterAnswer {
  return { place, failure, bearer: { kind: 'not asked', why: failure }, access: [] }
}

async function reviewBearer(
  client: KubeClient,
  token: string | undefined,
): Promise<Result<BearerAnswer, KubeFailure>> {
  if (token === undefined)
    return {
      ok: true,
      value: { kind: 'not asked', why: 'without a signature it cannot be shown to a cluster' },
    }
  const review = await client.reviewToken(token)
  if (review.ok) {
    const { user, error } = review.value
    return {
      ok: true,
      value: user === undefined ? { kind: 'refused', reason: error } : { kind: 'taken', user },
    }
  }
  // Without the right to review tokens, the token itself can still be tried.
  if (review.denial.status !== 401 && review.denial.status !== 403) return review
  const self = await client.as(token).whoAmI()
  if (self.ok) return { ok: true, value: { kind: 'taken', user: self.value } }
  return self.denial.status === 401 ? { ok: true, value: { kind: 'refused', reason: undefined } } : self
}

type Asking = {
  readonly client: KubeClient
  readonly token: string | undefined
  readonly bearer: BearerAnswer
  readonly authentication: Authentication
}

async function askAccess(
  { verb, target }: Question,
  namespace: string,
  { client, token, bearer, authentication }: Asking,
): Promise<ClusterAnswer['access'][number]> {
  const question = `${verb} ${target}${namespace === '' || target.startsWith('/') ? '' : ` in ${namespace}`}`
  const failed = (failure: string): ClusterAnswer['access'][number] => ({
    question,
    answer: undefined,
    asked: undefined,
    failure,
  })
  const resolved = await resolve(client, verb, target, namespace)
  if (!resolved.ok) return failed(resolved.denial)
  if (bearer.kind === 'taken' && token !== undefined) {
    const answer = await client.as(token).mayI(resolved.value)
    return answer.ok
      ? { question, answer: answer.value, asked: 'bearer', failure: undefined }
      : failed(answer.denial.message)
  }
  const { outcome } = authentication
  if (outcome.kind !== 'authenticated') return failed('nobody to ask about: the token names no user')
  const answer = await client.may(outcome.user, resolved.value)
  return answer.ok
    ? { question, answer: answer.value, asked: 'administrator', failure: undefined }
    : failed(answer.denial.message)
}

async function resolve(
  client: KubeClient,
  verb: string,
  target: string,
  namespace: string,
): Promise<Result<AccessQuestion, string>> {
  if (target.startsWith('/')) return { ok: true, value: { verb, path: target } }
  const [name = '', ...rest] = target.split('/')
  const found = await client.findResource(name)
  if (!found.ok) return { ok: false, denial: found.denial.message }
  const [first] = found.value
  if (first === undefined)
    return {
      ok: false,
      denial: `the cluster has no resource "${name}": write it as in kubectl api-resources`,
    }
  const { group, resource, isNamespaced } = first
  return {
    ok: true,
    value: {
      verb,
      group,
      resource,
      subresource: '',
      name: rest.join('/'),
      namespace: isNamespaced ? namespace : '',
    },
  }
}
