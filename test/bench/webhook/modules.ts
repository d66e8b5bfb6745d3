// The Modules of the bench: each of a repository and a pipeline of its own, with so many versions.

export const NAMESPACES = {
  none: 'bench-none',
  empty: 'bench-empty',
  sallyport: 'bench-sallyport',
  vap: 'bench-vap',
} as const
export type Door = keyof typeof NAMESPACES

/** A name is one Module's, whatever its namespace (WH-M10). */
export function moduleName(door: Door, index: number): string {
  return `terraform-${door}-${index}`
}

/** Below the forge's address. */
export function repositoryPath(index: number): string {
  return `bench/terraform-${index}`
}

export function versionOf(index: number): string {
  return `1.${Math.floor(index / 50)}.${index % 50}`
}

/** @param forge host of the repositories: that of the tokens' issuer */
export function benchModule(door: Door, forge: string, index: number, versions: number): object {
  const name = moduleName(door, index)
  const namespace = NAMESPACES[door]
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name, namespace },
    spec: {
      moduleConfig: {
        name,
        provider: 'aws',
        repoOwner: 'bench',
        repoUrl: `https://${forge}/${repositoryPath(index)}`,
        fileFormat: 'zip',
        immutable: true,
        storageConfig: { s3: { bucket: 'bench-modules', region: 'eu-central-1' } },
      },
      versions: Array.from({ length: versions }, (_, version) => ({ version: versionOf(version) })),
    },
  }
}

/** Who publishes is judged: the pipeline of the Module's own repository, for the tag of that version. */
export function benchPolicy(name: string, namespaces: readonly string[]): object {
  return {
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'ModulePolicy',
    metadata: { name },
    spec: {
      selector: { namespaces },
      immutability: 'required',
      identities: { importer: { groups: ['system:masters'] } },
    },
  }
}
