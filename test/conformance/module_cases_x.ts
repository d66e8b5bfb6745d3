// WH-X1, X2: what changes nothing of a published version goes through, on objects that break today's rules too; and a dry run
// says what the real run says.
import { versionManifest } from './module_cases.ts'
import type { ModuleEdit, Row } from './module_cases.ts'

/** As an older cluster may hold it. */
const BROKEN: ModuleEdit = {
  versions: ['1.0', 'main', '1.0.0', 'v1.0.0', '1.2.0+build.5', { version: '1.1.0', fileName: 'x.zip' }],
  config: {
    name: 'somebody-else',
    fileFormat: 'rar',
    versionHistoryLimit: 9,
    storageConfig: { s3: { bucket: 'a', region: 'b', key: '../c' }, gcs: { bucket: 'd' } },
  },
}

function untouched(name: string, title: string, run: string, more: Partial<Row> = {}): Row {
  return {
    name,
    title: `WH-X1 ${title}`,
    policy: 'team',
    stored: BROKEN,
    actor: 'alice',
    run,
    expect: {},
    ...more,
  }
}

const APPEND = `kubectl patch module $M -n $NS --dry-run=server --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"1.2.0"}}]'`

export const X_ROWS: readonly Row[] = [
  untouched(
    'x1-annotated',
    'an object that breaks the rules is annotated',
    'kubectl annotate module $M -n $NS team=network',
  ),
  untouched(
    'x1-labelled',
    'an object that breaks the rules is labelled',
    'kubectl label module $M -n $NS team=network',
  ),
  untouched(
    'x1-status',
    'a controller writes the status of an object that breaks the rules',
    `kubectl patch module $M -n $NS --subresource status --type merge -p '{"status":{"synced":true,"syncStatus":"ok"}}'`,
    { actor: 'controller' },
  ),
  untouched(
    'x1-appended',
    'an object that breaks the rules gets another version',
    `kubectl patch module $M -n $NS --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"1.3.0"}}]'`,
  ),
  untouched('x1-same', 'an object that breaks the rules is written as it stands', 'kubectl replace -f -', {
    input: BROKEN,
  }),
  untouched(
    'x1-finalizer',
    'a finalizer is added',
    `kubectl patch module $M -n $NS --type merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'`,
  ),
  untouched(
    'x1-list',
    'a version leaves the list of an object that breaks the rules',
    `kubectl patch module $M -n $NS --type json -p '[{"op":"remove","path":"/spec/versions/2"},{"op":"remove","path":"/spec/versions/2"}]'`,
    {
      title: 'WH-V1 a version leaves the list of an object that breaks the rules',
      expect: { forbidden: ['WH-V1'] },
    },
  ),
  {
    name: 'x1-version',
    title: 'WH-X1 a Version without its Module is annotated',
    policy: 'team',
    beside: [versionManifest({ name: 'x1-version' }, 'main')],
    actor: 'alice',
    run: 'kubectl annotate version $M-main -n $NS team=network',
    expect: {},
  },
  {
    name: 'x2-dry-run',
    title: 'WH-X2 a dry run of what is let through',
    policy: 'team',
    stored: {},
    actor: 'alice',
    run: APPEND,
    expect: {},
  },
  {
    name: 'x2-dry-run-told',
    title: 'WH-X2 a dry run of what is let through with a warning',
    policy: 'p1-warned',
    stored: {},
    actor: 'mallory',
    run: APPEND,
    expect: { warns: ['WH-P1'] },
    blind: { offline: ['user', {}] },
  },
]
