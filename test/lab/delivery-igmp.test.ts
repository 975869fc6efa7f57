// A13: delivery method igmp in a lab: see delivery-methods.ts.
import { deliveryTests } from "./delivery-methods.ts";

deliveryTests("igmp");
