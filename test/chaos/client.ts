// The client of a run: asks a broker over HTTP, and records what it sent and what came back, be it nothing.
import { Agent, request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { JWK } from 'jose'
import type { OfferedSubject } from './history.ts'
import type { Recorder } from './recorder.ts'
import { AUDIENCE, CLIENT } from './world.ts'
import type { Broker } from './world.ts'

/** Above every time-out of the broker. */
const TIMEOUT_MS = 12_000

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token'

export type Offer = OfferedSubject & { readonly token: string }

export type ChaosClient = {
  /** An exchange of the offered token, or the client's own credentials. */
  buy(broker: Broker, offer: Offer | undefined): Promise<number | undefined>
  look(broker: Broker): Promise<void>
  /** Whether the broker calls an issued token active. */
  ask(broker: Broker, token: string): Promise<void>
  close(): void
}

export function createClient(recorder: Recorder): ChaosClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const send = (url: string, form?: Readonly<Record<string, string>>): Promise<Answer | undefined> =>
    askOnce(agent, url, form)

  return {
    async buy(broker, offer) {
      const sentAt = Date.now()
      const answer = await send(`${broker.url}/token`, offer === undefined ? OWN : exchangeOf(offer))
      const { status } = answer ?? {}
      const requestId = answer?.headers['x-request-id']
      recorder.request({
        domain: broker.domain,
        broker: broker.name,
        sentAt,
        answeredAt: answer === undefined ? undefined : Date.now(),
        status,
        requestId: typeof requestId === 'string' ? requestId : undefined,
        token: answer !== undefined && status === 200 ? String(answer.json['access_token']) : undefined,
        subject: offer === undefined ? undefined : subjectOf(offer),
      })
      return status
    },
    async look(broker) {
      const askedAt = Date.now()
      const answer = await send(`${broker.url}/keys`)
      if (answer?.status !== 200) return
      const { domain, name } = broker
      const keys: readonly JWK[] = Array.from(Object(answer.json['keys']))
      recorder.look({ domain, broker: name, askedAt, answeredAt: Date.now(), keys })
    },
    async ask(broker, token) {
      const askedAt = Date.now()
      const form = { client_id: CLIENT.id, client_secret: CLIENT.secret, token }
      const answer = await send(`${broker.url}/token/introspect`, form)
      if (answer?.status !== 200) return
      const { domain, name } = broker
      const isActive = answer.json['active'] === true
      recorder.question({ domain, broker: name, askedAt, answeredAt: Date.now(), token, isActive })
    },
    close: () => agent.destroy(),
  }
}

const OWN = {
  grant_type: 'client_credentials',
  client_id: CLIENT.id,
  client_secret: CLIENT.secret,
  scope: `openid audience:server:client_id:${AUDIENCE}`,
}

function exchangeOf({ token, connector }: Offer): Readonly<Record<string, string>> {
  return {
    grant_type: EXCHANGE,
    client_id: CLIENT.id,
    client_secret: CLIENT.secret,
    connector_id: connector,
    subject_token: token,
    subject_token_type: ID_TOKEN,
    scope: `openid audience:server:client_id:${AUDIENCE}`,
  }
}

function subjectOf({ jti, exp, connector, isSingleUse, isForged }: Offer): OfferedSubject {
  return { jti, exp, connector, isSingleUse, isForged }
}

type Answer = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly json: Readonly<Record<string, unknown>>
}

/** Once: what fails on the way may have been done, so nothing is sent again by itself. `undefined`: no whole answer came. */
function askOnce(
  agent: Agent,
  url: string,
  form: Readonly<Record<string, string>> | undefined,
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const body = form === undefined ? '' : new URLSearchParams(form).toString()
    const method = form === undefined ? 'GET' : 'POST'
    const headers = {
      'content-length': Buffer.byteLength(body),
      ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
    }
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const none = (): void => resolve(undefined)
    const asked = httpRequest(url, { method, headers, agent, signal }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', none).on('close', none)
      response.on('end', () => {
        const { statusCode = 0, headers: received } = response
        resolve({ status: statusCode, headers: received, json: objectOf(text) })
      })
    })
    asked.on('error', none)
    asked.end(body)
  })
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text))
  } catch {
    // An answer that is no JSON has no token in it, and the checker sees its status.
    return {}
  }
}
