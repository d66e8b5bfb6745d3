// The broker's part of the demo: real requests by curl against two brokers, one on a Dex configuration, one on its own.
import { spawn } from 'node:child_process'
import { isDeepStrictEqual } from 'node:util'
import { createAssertions, indent } from '../assertions.ts'
import type { Assertions } from '../assertions.ts'
import { dexScenes, nativeScenes } from './scenes.ts'
import type { Scene } from './scenes.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

/** The exit code. */
export async function playBrokerDemo(): Promise<0 | 1> {
  const { check, conclude } = createAssertions()
  const world = await startWorld()
  try {
    console.log(
      'Two brokers run, on loopback: one on a Dex configuration, one on its own. Issuers are local and mint tokens',
    )
    console.log('with the claims of GitLab, GitHub, Forgejo and Keycloak. Requests are made by curl.\n')
    heading('Your Dex configuration and your curl lines, unchanged')
    for (const scene of dexScenes(world)) await play(scene, world, check)
    heading('Policies instead of stored secrets')
    for (const scene of nativeScenes(world)) await play(scene, world, check)
    check(
      !/eyJ[A-Za-z0-9_-]{10}/.test(world.dex.audit() + world.native.audit()),
      'no token stands in an audit log',
    )
  } finally {
    await world.close()
  }
  return conclude()
}

async function play(scene: Scene, { caFile }: World, check: Assertions['check']): Promise<void> {
  console.log(`\n--- ${scene.title}`)
  console.log(indent(scene.script.replaceAll(/\$\{DEX_HOST\}|\$\{HOST\}/g, scene.broker.host)))
  const { response, status } = await shell(scene, caFile)
  const event = scene.broker.lastEvent()
  if ('reason' in scene.expect) {
    console.log(indent(`-> ${response}`))
    console.log(
      indent(`   audit: ${event.decision}, ${event.reason ?? ''} ${JSON.stringify(event.evidence ?? {})}`),
    )
    const { error } = parse(response)
    check(status === 0 && typeof error === 'string', `${scene.title}: an OAuth error comes back`)
    check(
      event.reason === scene.expect.reason,
      `${scene.title}: the audit log says ${scene.expect.reason} (it says ${event.reason ?? 'nothing'})`,
    )
    const expected = {
      400: 'invalid_target',
      401: scene.expect.reason.startsWith('client_') ? 'invalid_client' : 'access_denied',
    }[scene.expect.status]
    check(
      error === expected,
      `${scene.title}: the caller learns ${expected ?? '?'} (it learnt ${String(error)})`,
    )
    return
  }
  const claims = decode(parse(response)['access_token'])
  console.log(indent(`-> ${JSON.stringify(claims)}`))
  console.log(
    indent(`   audit: ${event.decision}${event.policy === undefined ? '' : `, policy ${event.policy}`}`),
  )
  check(
    event.decision === 'allow',
    `${scene.title}: the audit log says allow (it says ${event.decision} ${event.reason ?? ''})`,
  )
  for (const [name, value] of Object.entries(scene.expect.claims)) {
    check(
      isDeepStrictEqual(claims[name], value),
      `${scene.title}: ${name} is ${JSON.stringify(value)} (it is ${JSON.stringify(claims[name])})`,
    )
  }
}

/** Runs the scene's lines in a POSIX shell, as a job would; curl trusts the demo's CA through its own variable. */
async function shell(scene: Scene, caFile: string): Promise<{ response: string; status: number }> {
  const child = spawn('sh', ['-c', `${scene.script}\nstatus=$?\nprintf '%s' "$RESPONSE"\nexit $status`], {
    env: { PATH: process.env['PATH'] ?? '', CURL_CA_BUNDLE: caFile, ...scene.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let response = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    response += chunk
  })
  const status = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 1))
  })
  return { response, status }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch {
    // Shown as it came, and every assertion about its members fails.
    return { unparsable: text }
  }
}

function decode(token: unknown): Record<string, unknown> {
  const payload = typeof token === 'string' ? token.split('.')[1] : undefined
  return payload === undefined ? {} : parse(Buffer.from(payload, 'base64url').toString('utf8'))
}

function heading(text: string): void {
  console.log(`\n=== ${text}`)
}
