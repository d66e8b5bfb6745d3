// What the configuration loaders are given of the world, so that loading stays a function: the environment, files
// by path, the folder that relative paths start from. And what they give back.
import type { RandomBytes } from '#core/clock.ts'
import type { Finding } from '#platform/config/finding.ts'
import type { BrokerConfig } from './broker_config.ts'

export type ConfigEnv = {
  readonly env: Readonly<Record<string, string | undefined>>
  /** UTF-8 text of an absolute path. Throws as `fs.readFileSync` does. */
  readonly readFile: (path: string) => string
  /** Permission bits of a file; `undefined` where there is none or the system knows no such bits. */
  readonly fileMode?: (path: string) => number | undefined
  /** Absolute folder that relative paths of the configuration start from: the folder of the file. */
  readonly baseDir: string
  /** Salts of secrets that are hashed at load. */
  readonly randomBytes: RandomBytes
}

export type ConfigLoad = {
  /** `undefined` exactly if a finding is an error. */
  readonly config: BrokerConfig | undefined
  readonly findings: readonly Finding[]
}
