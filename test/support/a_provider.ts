// A Provider as the scan, the adoption and the review are given it; each test changes one thing.
import { readProvider } from '../../src/core/module/module_object.ts'
import type { ProviderObject } from '../../src/core/module/module_object.ts'
import type { JsonObject } from '../../src/core/claims.ts'

export type ProviderEdit = {
  readonly namespace?: string
  readonly name?: string
  /** providerConfig.name; absent unless said. */
  readonly configName?: string
  readonly versions?: readonly string[]
}

export function aProviderJson(edit: ProviderEdit = {}): JsonObject {
  const { namespace = 'infra', name = 'aws', configName, versions = ['5.0.0', '5.1.0'] } = edit
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Provider',
    metadata: { namespace, name },
    spec: {
      providerConfig: {
        ...(configName === undefined ? {} : { name: configName }),
        operatingSystems: ['linux'],
        architectures: ['amd64', 'arm64'],
      },
      versions: versions.map((version) => ({ version })),
    },
  }
}

export function aProvider(edit: ProviderEdit = {}): ProviderObject {
  const read = readProvider(aProviderJson(edit))
  if (!read.ok) throw new Error(read.denial)
  return read.value
}
