// In old syntax on purpose: it must run on the versions of Node.js that it refuses.
const floor = [20, 19];
const have = process.versions.node.split('.').map(Number);
if (have[0] < floor[0] || (have[0] === floor[0] && have[1] < floor[1])) {
  console.error(`Troupe needs Node.js ${floor.join('.')} or newer; this is ${process.versions.node} (${process.execPath})`);
  process.exit(1);
}
