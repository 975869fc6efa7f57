// A13: delivery method multicast in a lab: see delivery-methods.ts.
import { deliveryTests } from "./delivery-methods.ts";

deliveryTests("multicast");
