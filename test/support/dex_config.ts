// Dex configurations for tests, and the world they are read in. Each test changes one thing.
import { readFileSync } from 'node:fs'
import type { ConfigEnv } from '../../src/broker/config/config_env.ts'
import { loadDexConfig } from '../../src/broker/config/dex/load.ts'
import type { DexConfigLoad, DexLoadOptions } from '../../src/broker/config/dex/load.ts'
import type { Finding } from '../../src/platform/config/finding.ts'

export const DEX_VARIABLES: Readonly<Record<string, string>> = {
  GITLAB_CLIENT_SECRET: 'gitlab-login-secret',
  KEYCLOAK_CLIENT_SECRET: 'keycloak-login-secret',
  UPSTREAM_SECRET: 'upstream-login-secret',
  LDAP_PASSWORD: 'ldap-password',
  KUBERNETES_CLIENT_SECRET: 'kubernetes-client-secret-3a7c41',
  CI_CLIENT_ID: 'ci',
  CI_CLIENT_SECRET: 'ci-client-secret-5d0b92',
  OPENDEPOT_DEX_CLIENT_SECRET: 'opendepot-client-secret-77f1',
  OPENDEPOT_CC_CLIENT_SECRET: 'ci-pipeline-client-secret-90ab',
}

export function dexFixture(name: string): string {
  return readFileSync(new URL(`../fixtures/dex/${name}`, import.meta.url), 'utf8')
}

export type World = {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly files?: Readonly<Record<string, string>>
  /** Permission bits by path; 0600 for all others. */
  readonly modes?: Readonly<Record<string, number>>
  readonly flags?: Partial<DexLoadOptions['flags']>
  readonly overlay?: string
}

/** The world that fixtures are whole in. Salts are zero, so that equal secrets give equal hashes. */
export function dexEnv(world: World = {}): ConfigEnv {
  return {
    env: { ...DEX_VARIABLES, ...world.env },
    readFile: (path) => {
      const text = world.files?.[path]
      if (text === undefined) throw new Error(`ENOENT: ${path}`)
      return text
    },
    fileMode: (path) => world.modes?.[path] ?? 0o100600,
    baseDir: '/etc/dex',
    randomBytes: (length) => new Uint8Array(length),
  }
}

export function loadDex(text: string, world: World = {}): DexConfigLoad {
  const overlay = world.overlay === undefined ? undefined : { file: 'overlay.yaml', text: world.overlay }
  return loadDexConfig('dex.yaml', text, dexEnv(world), {
    flags: { development: false, ...world.flags },
    ...(overlay === undefined ? {} : { overlay }),
  })
}

export function errorsOf(load: DexConfigLoad): readonly Finding[] {
  return load.findings.filter(({ severity }) => severity === 'error')
}

/** `12 code`, or `overlay 12 code`: where and what, in the order in which an operator reads it. */
export function shortForm(finding: Finding): string {
  const file = finding.place?.file === 'overlay.yaml' ? 'overlay ' : ''
  return `${file}${finding.place?.line ?? 0} ${finding.code}`
}

/** `text` with the one place where `from` stands changed. */
export function changed(text: string, from: string, to: string): string {
  const parts = text.split(from)
  if (parts.length !== 2)
    throw new Error(`${JSON.stringify(from)} stands ${parts.length - 1} times in the fixture`)
  return parts.join(to)
}
