// What the broker's ops listener answers: which parts it needs, and how its issuers are. A dead issuer concerns its own
// jobs only.
import type { FastifyInstance } from 'fastify'
import { createOpsApp as opsApp } from '#platform/http/ops_app.ts'
import type { Check } from '#platform/http/ops_app.ts'
import type { IssuerKeysStatus } from '#platform/issuer_keys/issuer_keys.ts'
import { signerCheck } from './signer_check.ts'
import type { Broker } from './broker.ts'

type IssuerStatuses = () => readonly IssuerKeysStatus[]

/** Of a server that still answers, and wants no more to do. */
export const ENDING: Check = { name: 'server', ok: false, detail: 'is ending', isRequired: true }

/** `isEnding`: the server still answers, and wants no more to do. */
export function createOpsApp(
  broker: Broker,
  issuers: IssuerStatuses,
  isEnding: () => boolean = () => false,
): FastifyInstance {
  return opsApp({
    registry: broker.parts.metrics.registry,
    checks: async () => [...(isEnding() ? [ENDING] : []), ...(await brokerChecks(broker, issuers))],
  })
}

/** What the broker needs, and how its issuers are. */
export async function brokerChecks(broker: Broker, issuers: IssuerStatuses): Promise<readonly Check[]> {
  const { store, keyRing, audit, levers, clockWatch } = broker.parts
  // A server that goes on without its store must not be taken out of service for that.
  const goOn = broker.live().config.connectors.filter((each) => each.whenStoreFails === 'accept_replays')
  const auditFailure = audit.failure()
  const storeCheck = await store.ping().then(
    () => ({ name: 'store', ok: true, detail: 'answers', isRequired: true }),
    (error: unknown) => ({
      name: 'store',
      ok: false,
      detail: `${error instanceof Error ? error.message : 'fails'}${goOn.map(({ id }) => `; ${id} goes on`).join('')}`,
      isRequired: goOn.length === 0,
    }),
  )
  return [
    storeCheck,
    { name: 'keys', ok: true, detail: `signing with ${keyRing.current().kid}`, isRequired: true },
    ...(await signerCheck(keyRing)),
    { name: 'audit', ok: auditFailure === undefined, detail: auditFailure ?? 'is written', isRequired: true },
    leverCheck(levers.failure()),
    ...(clockWatch.isShared ? [clockCheck(clockWatch.offBySeconds())] : []),
    ...issuers().map((status) => issuerCheck(status)),
  ]
}

/** Not a reason to take it out of service by itself: what is held is obeyed, and the store has a check of its own. */
function leverCheck(failure: string | undefined): Check {
  const detail =
    failure === undefined ? 'are followed' : `those that are held stay, new ones are not seen: ${failure}`
  return { name: 'levers', ok: failure === undefined, detail, isRequired: false }
}

function clockCheck(aheadSeconds: number | undefined): Check {
  const name = 'clock'
  if (aheadSeconds === undefined)
    return { name, ok: true, detail: "agrees with the store's", isRequired: true }
  const way = aheadSeconds > 0 ? 'ahead of' : 'behind'
  const detail = `${Math.abs(aheadSeconds)} s ${way} the store's: nothing is issued until one of them is set`
  return { name, ok: false, detail, isRequired: true }
}

function issuerCheck(status: IssuerKeysStatus): Check {
  return {
    name: `issuer ${status.connector}`,
    ok: status.state !== 'failed',
    detail: issuerDetail(status),
    isRequired: false,
  }
}

function issuerDetail({ state, keys, lastFailure }: IssuerKeysStatus): string {
  const held = keys === 1 ? '1 key' : `${keys} keys`
  switch (state) {
    case 'empty':
      return 'not asked yet'
    case 'fresh':
      return held
    case 'stale':
      // A key file is past its age seconds after it was read: that is no news, a failure since is.
      return lastFailure === undefined
        ? `${held}, looked at again with the next token`
        : `${held}, cannot be loaded again: ${lastFailure.detail}`
    case 'failed':
      return lastFailure?.detail ?? 'its keys cannot be loaded'
  }
}
