/**
 * @file Whether the npm package is fit to publish: builds and packs it, then checks the tarball with `publint` and
 * `attw`, its size, its types in a project that has nothing else, and that its command runs.
 *
 * Run: `npm run check:package`; takes a minute and needs no network: the packages that Pareto depends on are linked from
 * this checkout.
 */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Bytes that the tarball may have. */
const MOST_BYTES = 12e6;

const root = dirname(import.meta.dirname);
const bin = (name: string) => join(root, "node_modules", ".bin", name);

/** Runs a program to its end; what it printed. @throws Error with its output when it fails */
function run(file: string, args: readonly string[], cwd = root): string {
  try {
    return execFileSync(file, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${[file, ...args].join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

/** Packs into a folder. @returns the tarball */
async function pack(folder: string): Promise<string> {
  run("npm", ["pack", "--pack-destination", folder]);
  const name = (await readdir(folder)).find((file) => file.endsWith(".tgz"))!;
  return join(folder, name);
}

async function checkSize(tarball: string): Promise<void> {
  const { size } = await stat(tarball);
  if (size > MOST_BYTES) throw new Error(`the tarball may have ${MOST_BYTES} bytes, got ${size}`);
  console.log(`size: ${(size / 1e6).toFixed(2)} MB of ${MOST_BYTES / 1e6}`);
}

/** A project with the package as npm would install it, its dependencies linked. @returns its folder */
async function install(tarball: string, folder: string, dependencies: readonly string[]): Promise<string> {
  const project = join(folder, "project");
  const modules = join(project, "node_modules");
  await mkdir(join(modules, "pareto"), { recursive: true });
  run("tar", ["xzf", tarball, "--strip-components", "1", "-C", join(modules, "pareto")]);
  for (const name of dependencies) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(root, "node_modules", name), join(modules, name));
  }
  await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }));
  return project;
}

/** Every entry point has types, without those of Node and with every declaration checked. */
async function checkTypes(project: string, entries: readonly string[]): Promise<void> {
  const names = entries.map((_, i) => `entry${i}`);
  const lines = [
    ...entries.map((entry, i) => `import * as ${names[i]} from "${entry}";`),
    "/** Whether a type is `any`, as what cannot be resolved would be. */",
    "type IsAny<T> = 0 extends 1 & T ? true : false;",
    "type AnyOf<T> = { [K in keyof T as IsAny<T[K]> extends true ? K : never]: T[K] };",
    ...names.map(
      (name) => `const ${name}Any: keyof AnyOf<typeof ${name}> extends never ? true : false = true;`,
    ),
    `export const all = [${names.map((name) => `${name}Any`).join(", ")}];`,
  ];
  await writeFile(join(project, "index.ts"), lines.join("\n"));
  const compilerOptions = { strict: true, module: "nodenext", target: "esnext", types: [], noEmit: true };
  await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["index.ts"] }));
  run(bin("tsc"), ["-p", project], project);
  console.log(`types: ${entries.join(", ")}`);
}

/** The command classifies by the model in the package, and names the model that only a checkout has. */
async function checkCommand(project: string): Promise<void> {
  const main = join(project, "node_modules/pareto/dist/cli/main.js");
  const globin =
    "MVLSPADKTNVKAAWGKVGAHAGEYGAEALERMFLSFPTTKTYFPHFDLSHGSAQVKGHGKKVADALTNAVAHVDDMPNALSALSDLHAHKLRVDPVNFKLLSHCLLVTLAAHLPAEFTPAVHASLDKFLASVSTVLTSKYR";
  await writeFile(join(project, "globin.fasta"), `>haemoglobin\n${globin}\n`);
  const table = run(process.execPath, [main, "protein", "classify", "globin.fasta", "--quiet"], project);
  if (!/^haemoglobin\t.*\tglob\t/m.test(table))
    throw new Error(`classify should name a globin, got ${table}`);
  let said = "";
  try {
    run(process.execPath, [main, "llm", "generate", "--prompt", "ROMEO:"], project);
  } catch (error) {
    said = (error as Error).message;
  }
  if (!said.includes("LLM_MODEL_NOT_SHIPPED"))
    throw new Error(`generate should say that the package has no such model, got ${said}`);
  console.log("command: classifies; names the model that a checkout has");
}

const folder = await mkdtemp(join(tmpdir(), "pareto-package-"));
try {
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    exports: Record<string, unknown>;
    dependencies: Record<string, string>;
  };
  const tarball = await pack(folder);
  await checkSize(tarball);
  run(bin("publint"), ["run", tarball, "--strict"]);
  // Only ES modules: every Node that Pareto runs on can require them.
  run(bin("attw"), [tarball, "--profile", "esm-only"]);
  console.log("publint, attw: clean");
  // ONNX Runtime brings this one.
  const dependencies = [...Object.keys(manifest.dependencies), "onnxruntime-common"];
  const project = await install(tarball, folder, dependencies);
  const entries = Object.keys(manifest.exports).filter((entry) => !entry.endsWith(".json"));
  await checkTypes(
    project,
    entries.map((entry) => entry.replace(/^\./, "pareto")),
  );
  await checkCommand(project);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
